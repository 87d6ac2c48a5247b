"""What the embedded broker must remember: sessions, subscriptions, queues, retained messages and wills."""

from peewee import (
    BigIntegerField,
    BlobField,
    BooleanField,
    CompositeKey,
    IntegerField,
    TextField,
)

from gateway.storage.models import Base


class BrokerSession(Base):
    """A persistent session; `connected` tells, after a crash, that its messages may be on their way."""

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
    """A message queued for, or in flight to, a session; `number` is its packet id, `position` its order."""

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
    """The packet id of a QoS 2 message that was taken and not yet released by its sender."""

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
    """The will of a connected session, to be published if the gateway dies and the client does not return."""

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


BROKER_TABLES = [BrokerSession, BrokerSubscription, BrokerMessage, BrokerReceived, BrokerRetained, BrokerWill]
