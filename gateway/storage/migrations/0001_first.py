"""The tables of the first release, frozen here: later releases change them in migrations of their own."""

from typing import Any

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
    BlobField,
    BooleanField,
    CharField,
    CompositeKey,
    FloatField,
    IntegerField,
    Model,
    NodeList,
    SqliteDatabase,
    TextField,
)


class Base(Model):
    class Meta:
        legacy_table_names = False


class NumberField(AutoField):
    """Never given twice."""

    def ddl(self, ctx: Any) -> Any:
        nodes = super().ddl(ctx)
        is_sqlite = isinstance(self.model._meta.database, SqliteDatabase)
        return NodeList((nodes, SQL("AUTOINCREMENT"))) if is_sqlite else nodes


class ModuleRow(Base):
    number = NumberField()
    id = CharField(64, unique=True)
    folded_id = CharField(64, unique=True)
    uuid = CharField(36, unique=True)
    name = TextField()
    location = TextField()
    group = TextField(default="")
    type = IntegerField()
    life = CharField(16)
    declared = BooleanField(default=False)
    owner_id = IntegerField(null=True)
    hardware = TextField(default="")
    firmware = TextField(default="")
    address = TextField(default="")
    information = TextField(default="{}")
    created_at_ms = BigIntegerField()
    registered_at_ms = BigIntegerField(null=True)
    expires_at_ms = BigIntegerField(null=True)
    decided_by = TextField(default="")
    decided_at_ms = BigIntegerField(null=True)
    decision_reason = TextField(default="")
    token_digest = CharField(64, default="")
    next_token_digest = CharField(64, default="")
    shared_key_digest = CharField(64, default="")

    class Meta:
        table_name = "module"


class ClaimRow(Base):
    number = NumberField()
    module_number = IntegerField(index=True)
    token_digest = CharField(64)
    hardware = TextField()
    firmware = TextField()
    address = TextField()
    information = TextField()
    created_at_ms = BigIntegerField()
    expires_at_ms = BigIntegerField()

    class Meta:
        table_name = "claim"


class PresenceRow(Base):
    module_number = IntegerField(primary_key=True)
    state = CharField(16)
    reason = CharField(16)
    since_ms = BigIntegerField()
    last_seen_ms = BigIntegerField(null=True)

    class Meta:
        table_name = "presence"


class SeriesRow(Base):
    id = IntegerField(primary_key=True)
    module_number = IntegerField(index=True)
    key = TextField()
    leaf = BooleanField(default=False)

    class Meta:
        table_name = "series"
        indexes = ((("module_number", "key"), True),)


class ReadingRow(Base):
    series = IntegerField()
    ts_ms = BigIntegerField()
    number = FloatField(null=True)
    text = TextField(null=True)

    class Meta:
        table_name = "reading"
        primary_key = CompositeKey("series", "ts_ms")
        without_rowid = True


class CommandRow(Base):
    number = AutoField()
    id = CharField(32, unique=True)
    module_number = IntegerField(index=True)
    name = TextField()
    params = TextField()
    status = CharField(16)
    created_at_ms = BigIntegerField()
    expires_at_ms = BigIntegerField(null=True)
    by = TextField()
    result = TextField(null=True)
    error = TextField(null=True)
    history = TextField()

    class Meta:
        table_name = "command"


class DesiredRow(Base):
    module_number = IntegerField(primary_key=True)
    desired_version = IntegerField(default=0)
    desired = TextField(default="{}")
    reported_version = IntegerField(default=0)
    reported = TextField(default="{}")

    class Meta:
        table_name = "desired"


class TypeRow(Base):
    code = IntegerField(primary_key=True)
    declaration = TextField()

    class Meta:
        table_name = "module_type"


class UserRow(Base):
    id = AutoField()
    username = TextField(unique=True)
    folded_username = TextField(unique=True)
    name = TextField(default="")
    email = TextField(default="")
    role = CharField(16)
    password_hash = TextField()
    active = BooleanField(default=True)
    created_at_ms = BigIntegerField()
    last_login_ms = BigIntegerField(null=True)

    class Meta:
        table_name = "user_account"


class SessionRow(Base):
    id = NumberField()
    kind = CharField(16)
    user_id = IntegerField(index=True)
    token_digest = CharField(64, unique=True)
    used_digest = CharField(64, default="")
    csrf = CharField(64)
    address = TextField()
    created_at_ms = BigIntegerField()
    seen_at_ms = BigIntegerField()
    expires_at_ms = BigIntegerField()

    class Meta:
        table_name = "session"


class ServiceRow(Base):
    id = AutoField()
    name = TextField(unique=True)
    role = CharField(16)
    token_digest = CharField(64)
    created_at_ms = BigIntegerField()

    class Meta:
        table_name = "service_account"


class SettingRow(Base):
    key = TextField(primary_key=True)
    value = TextField()

    class Meta:
        table_name = "setting"


class AuditRow(Base):
    number = AutoField()
    at_ms = BigIntegerField(index=True)
    level = CharField(16)
    who = TextField()
    action = TextField()
    subject = TextField(index=True)
    address = TextField()
    details = TextField()
    chain = CharField(64)

    class Meta:
        table_name = "audit"


class BrokerSession(Base):
    key = TextField(primary_key=True)
    client_id = TextField()
    principal = TextField()
    connected = BooleanField()

    class Meta:
        table_name = "broker_session"


class BrokerSubscription(Base):
    key = TextField()
    topic_filter = TextField()
    qos = IntegerField()

    class Meta:
        table_name = "broker_subscription"
        primary_key = CompositeKey("key", "topic_filter")


class BrokerMessage(Base):
    key = TextField()
    number = IntegerField()
    position = BigIntegerField()
    topic = TextField()
    payload = BlobField()
    qos = IntegerField()
    retain = BooleanField()
    expires_at_ms = BigIntegerField(null=True)
    sent = BooleanField()
    released = BooleanField()

    class Meta:
        table_name = "broker_message"
        primary_key = CompositeKey("key", "number")


class BrokerReceived(Base):
    key = TextField()
    number = IntegerField()

    class Meta:
        table_name = "broker_received"
        primary_key = CompositeKey("key", "number")


class BrokerRetained(Base):
    topic = TextField(primary_key=True)
    payload = BlobField()
    qos = IntegerField()
    expires_at_ms = BigIntegerField(null=True)

    class Meta:
        table_name = "broker_retained"


class BrokerWill(Base):
    key = TextField(primary_key=True)
    client_id = TextField()
    principal = TextField()
    topic = TextField()
    payload = BlobField()
    qos = IntegerField()
    retain = BooleanField()
    keepalive_s = IntegerField()

    class Meta:
        table_name = "broker_will"


TABLES = (
    ModuleRow, ClaimRow, PresenceRow, SeriesRow, ReadingRow, CommandRow, DesiredRow, TypeRow,
    UserRow, SessionRow, ServiceRow, SettingRow, AuditRow, BrokerSession, BrokerSubscription, BrokerMessage,
    BrokerReceived, BrokerRetained, BrokerWill,
)  # fmt: skip


def up(migrator: Any, db: Any) -> None:
    with db.bind_ctx(TABLES):
        db.create_tables(TABLES)
