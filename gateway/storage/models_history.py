"""Tables of the history's coarser levels: a value a series and span, what is late, what was deleted."""

from peewee import BigIntegerField, CompositeKey, FloatField, IntegerField

from gateway.storage.models import Base, NumberField


class SpanRow(Base):
    """The numbers of one series within one span of time that begins at `start_ms`."""

    series = IntegerField()
    start_ms = BigIntegerField()
    count = IntegerField()
    total = FloatField()
    low = FloatField()
    high = FloatField()
    last = FloatField()


class FiveMinutesRow(SpanRow):
    class Meta:
        table_name = "reading_five_minutes"
        primary_key = CompositeKey("series", "start_ms")
        without_rowid = True


class HourRow(SpanRow):
    class Meta:
        table_name = "reading_hour"
        primary_key = CompositeKey("series", "start_ms")
        without_rowid = True


class LateRow(Base):
    """Five minutes that were summed up already when a reading of theirs came."""

    number = NumberField()
    series = IntegerField(index=True)
    start_ms = BigIntegerField()

    class Meta:
        table_name = "reading_late"


class KeptRow(Base):
    """Since when a series still has every reading, and every five minutes; before lies the next level."""

    series = IntegerField(primary_key=True)
    raw_from_ms = BigIntegerField(default=0)
    five_from_ms = BigIntegerField(default=0)

    class Meta:
        table_name = "reading_kept"


HISTORY_TABLES: tuple[type[Base], ...] = (FiveMinutesRow, HourRow, LateRow, KeptRow)
