"""The tables. Times are UTC milliseconds; digests are hexadecimal SHA-256; JSON is kept as text."""

from typing import Any

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    CompositeKey,
    DatabaseProxy,
    FloatField,
    IntegerField,
    Model,
    NodeList,
    SqliteDatabase,
    TextField,
)

proxy = DatabaseProxy()


def upsert(table: "type[Base]", rows: list[dict[str, Any]]) -> None:
    """Insert rows of the same columns; one whose first column is there already replaces all other columns."""
    if not rows:
        return
    first, *rest = rows[0]
    fields = [table._meta.fields[name] for name in rows[0]]
    one = table.insert_many([tuple(rows[0].values())], fields=fields)
    sql, _ = one.on_conflict(conflict_target=[first], preserve=rest).sql()
    # A statement made anew for each row costs sixty times what the database itself does, and while it is
    # made nothing is acknowledged.
    values = [[field.db_value(row[field.name]) for field in fields] for row in rows]
    proxy.connection().cursor().executemany(sql, values)


def insert_all(table: "type[Base]", rows: list[dict[str, Any]]) -> None:
    """Insert rows of the same columns with one statement, which is made once."""
    if not rows:
        return
    fields = [table._meta.fields[name] for name in rows[0]]
    sql, _ = table.insert_many([tuple(rows[0].values())], fields=fields).sql()
    values = [[field.db_value(row[field.name]) for field in fields] for row in rows]
    proxy.connection().cursor().executemany(sql, values)


class Base(Model):
    class Meta:
        database = proxy
        legacy_table_names = False


class NumberField(AutoField):
    """A number that is never given twice, not even when the row that had it is gone.

    What was said of the one before (a token's session, a reading on its way) must not fit the next. SQLite
    alone would give the highest number again; a sequence of PostgreSQL does not.
    """

    def ddl(self, ctx: Any) -> Any:
        nodes = super().ddl(ctx)
        is_sqlite = isinstance(proxy.obj, SqliteDatabase)
        return NodeList((nodes, SQL("AUTOINCREMENT"))) if is_sqlite else nodes


class ModuleRow(Base):
    """A module, waiting or approved. `folded_id` makes ids unique ignoring case."""

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
    assigned_firmware = TextField(default="", constraints=[SQL("DEFAULT ''")])
    reported_firmware = TextField(default="", constraints=[SQL("DEFAULT ''")])

    class Meta:
        table_name = "module"


class ClaimRow(Base):
    """A known serial that registered again without its token, waiting beside the untouched module."""

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
    """One telemetry key of one module; `leaf`: a value within an object that is kept as a key of its own."""

    id = IntegerField(primary_key=True)
    module_number = IntegerField(index=True)
    key = TextField()
    leaf = BooleanField(default=False)

    class Meta:
        table_name = "series"
        indexes = ((("module_number", "key"), True),)


class ReadingRow(Base):
    """One reading: `number` for numbers and booleans, `text` (JSON) for all else."""

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
    """What a module should report (`desired`) and what it says it has (`reported`), JSON objects."""

    module_number = IntegerField(primary_key=True)
    desired_version = IntegerField(default=0)
    desired = TextField(default="{}")
    reported_version = IntegerField(default=0)
    reported = TextField(default="{}")

    class Meta:
        table_name = "desired"


class TypeRow(Base):
    """A module type that an admin added; the declaration is JSON."""

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
    """A browser's session or a program's chain of refresh tokens (`kind`)."""

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
    agent = TextField(default="", constraints=[SQL("DEFAULT ''")])

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
    """What people set in the web; the value is JSON."""

    key = TextField(primary_key=True)
    value = TextField()

    class Meta:
        table_name = "setting"


class AuditRow(Base):
    """Who did what; `chain` is the digest over this row and the one before."""

    number = AutoField()
    at_ms = BigIntegerField(index=True)
    level = CharField(16)
    who = TextField()
    action = TextField()
    subject = TextField(index=True)
    address = TextField()
    details = TextField()
    chain = CharField(64)
    role = TextField(default="", constraints=[SQL("DEFAULT ''")])

    class Meta:
        table_name = "audit"


CORE_TABLES: tuple[type[Base], ...] = (
    ModuleRow, ClaimRow, PresenceRow, SeriesRow, ReadingRow, CommandRow, DesiredRow, TypeRow,
    UserRow, SessionRow, ServiceRow, SettingRow, AuditRow,
)  # fmt: skip
