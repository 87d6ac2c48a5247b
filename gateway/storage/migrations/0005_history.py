"""Tables for the history's coarser levels: five minutes, hours, what is late, what was deleted."""

from typing import Any

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
    CompositeKey,
    FloatField,
    IntegerField,
    Model,
    NodeList,
    SqliteDatabase,
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


class SpanRow(Base):
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
    number = NumberField()
    series = IntegerField(index=True)
    start_ms = BigIntegerField()

    class Meta:
        table_name = "reading_late"


class KeptRow(Base):
    series = IntegerField(primary_key=True)
    raw_from_ms = BigIntegerField()
    five_from_ms = BigIntegerField()

    class Meta:
        table_name = "reading_kept"


TABLES = (FiveMinutesRow, HourRow, LateRow, KeptRow)


def up(migrator: Any, db: Any) -> None:
    with db.bind_ctx(TABLES):
        db.create_tables(TABLES)
