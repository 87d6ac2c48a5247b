"""Tables for alerts, what people have seen of them, and the channels that carry them outside."""

from typing import Any

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
    BooleanField,
    CharField,
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


class AlertRow(Base):
    id = IntegerField(primary_key=True)
    kind = CharField(16)
    subject = TextField()
    module_number = IntegerField(null=True, index=True)
    severity = CharField(8)
    text = TextField()
    closing = TextField(default="")
    members = TextField(default="[]")
    opened_at_ms = BigIntegerField()
    closed_at_ms = BigIntegerField(null=True, index=True)

    class Meta:
        table_name = "alert"


class SeenRow(Base):
    user_id = IntegerField(primary_key=True)
    alert_id = IntegerField()

    class Meta:
        table_name = "alert_seen"


class ChannelRow(Base):
    id = NumberField()
    name = TextField(unique=True)
    kind = CharField(16)
    active = BooleanField()
    plan = TextField()
    sealed = TextField(default="")
    created_at_ms = BigIntegerField()
    succeeded_at_ms = BigIntegerField(null=True)
    failed_at_ms = BigIntegerField(null=True)
    fault = TextField(default="")
    dropped = IntegerField(default=0)

    class Meta:
        table_name = "alert_channel"


class DeliveryRow(Base):
    key = CharField(32, primary_key=True)
    channel_id = IntegerField(index=True)
    module_number = IntegerField(null=True, index=True)
    position = IntegerField()
    news = TextField()
    held = BooleanField(default=False)
    batch = CharField(32, default="")
    created_at_ms = BigIntegerField()

    class Meta:
        table_name = "alert_delivery"


TABLES = (AlertRow, SeenRow, ChannelRow, DeliveryRow)


def up(migrator: Any, db: Any) -> None:
    with db.bind_ctx(TABLES):
        db.create_tables(TABLES)
