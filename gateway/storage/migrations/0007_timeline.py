"""Tables for what happened to modules, what they log, and who set which of their settings."""

from typing import Any

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
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


class MomentRow(Base):
    number = NumberField()
    module_number = IntegerField()
    at_ms = BigIntegerField()
    kind = CharField(16)
    what = TextField()
    who = TextField()
    details = TextField()

    class Meta:
        table_name = "moment"
        indexes = ((("module_number", "number"), False), (("module_number", "kind", "number"), False))


class LogRow(Base):
    number = NumberField()
    module_number = IntegerField()
    at_ms = BigIntegerField()
    level = CharField(8)
    text = TextField()

    class Meta:
        table_name = "device_log"
        indexes = ((("module_number", "number"), False),)


class DesiredMarksRow(Base):
    module_number = IntegerField(primary_key=True)
    marks = TextField()

    class Meta:
        table_name = "desired_marks"


TABLES = (MomentRow, LogRow, DesiredMarksRow)


def up(migrator: Any, db: Any) -> None:
    with db.bind_ctx(TABLES):
        db.create_tables(TABLES)
