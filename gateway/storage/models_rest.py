"""The table of answers that are kept for programs which ask again; times are UTC milliseconds."""

from peewee import BigIntegerField, BlobField, CharField, IntegerField, TextField

from gateway.storage.models import Base, NumberField


class AnswerRow(Base):
    """What an idempotency key was answered with. `status` 0: it was begun, and nobody knows how it ended.

    `digest` tells the request's body from another; `answer` (headers and body) is encrypted.
    """

    number = NumberField()
    caller = TextField()
    route = TextField()
    key = TextField()
    digest = CharField(64)
    status = IntegerField()
    answer = BlobField()
    created_at_ms = BigIntegerField(index=True)

    class Meta:
        table_name = "kept_answer"
        indexes = ((("caller", "route", "key"), True),)


REST_TABLES: tuple[type[Base], ...] = (AnswerRow,)
