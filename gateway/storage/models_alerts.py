"""The tables of alerts and of the channels that carry them; times are UTC milliseconds, JSON is text."""

from peewee import BigIntegerField, BooleanField, CharField, IntegerField, TextField

from gateway.storage.models import Base, NumberField


class AlertRow(Base):
    """What needs somebody, from when to when. `text` and `closing`: JSON of a sentence and its values."""

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
    """The newest alert that a person has seen; all before it are seen too."""

    user_id = IntegerField(primary_key=True)
    alert_id = IntegerField()

    class Meta:
        table_name = "alert_seen"


class ChannelRow(Base):
    """Where alerts are told outside of the pages. `plan` is JSON; `sealed` is the encrypted secret."""

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
    """One piece of news on its way to one channel, until it is taken or too old.

    `key` is what the receiver knows it by; `batch`: the digest that it is part of.
    """

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


ALERT_TABLES: tuple[type[Base], ...] = (AlertRow, SeenRow, ChannelRow, DeliveryRow)
