"""What happened to modules and what they log; times are UTC milliseconds, JSON is kept as text."""

from peewee import BigIntegerField, CharField, IntegerField, TextField

from gateway.storage.models import Base, NumberField


class MomentRow(Base):
    """One thing that happened to a module; `details` is a JSON object."""

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
    """A line of a module's own log."""

    number = NumberField()
    module_number = IntegerField()
    at_ms = BigIntegerField()
    level = CharField(8)
    text = TextField()

    class Meta:
        table_name = "device_log"
        indexes = ((("module_number", "number"), False),)


class DesiredMarksRow(Base):
    """Of each desired key: in which version, when and by whom it was set; `marks` is a JSON object."""

    module_number = IntegerField(primary_key=True)
    marks = TextField()

    class Meta:
        table_name = "desired_marks"


TIMELINE_TABLES: tuple[type[Base], ...] = (MomentRow, LogRow, DesiredMarksRow)
