"""Tables for firmware: images, update jobs, rollouts; and what a module should run and says it runs."""

from typing import Any

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    CompositeKey,
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


class ImageRow(Base):
    id = NumberField()
    serial = TextField()
    folded_serial = TextField(unique=True)
    version = TextField()
    type = IntegerField()
    digest = CharField(64)
    md5 = CharField(32)
    size = IntegerField()
    kind = CharField(16)
    header = TextField()
    hardware = TextField()
    min_version = TextField()
    notes = TextField()
    signature = TextField()
    signed_by = TextField()
    created_at_ms = BigIntegerField()
    by = TextField()

    class Meta:
        table_name = "firmware_image"
        indexes = ((("digest", "type"), True),)


class JobRow(Base):
    number = NumberField()
    id = CharField(16, unique=True)
    module_number = IntegerField()
    image_id = IntegerField(index=True)
    previous = TextField()
    state = CharField(16)
    attempt = IntegerField()
    received = IntegerField()
    size = IntegerField()
    due_ms = BigIntegerField()
    since_ms = BigIntegerField()
    created_at_ms = BigIntegerField()
    error = TextField(null=True)
    by = TextField()
    rollout_id = IntegerField(null=True)
    override = BooleanField()

    class Meta:
        table_name = "firmware_job"
        indexes = ((("module_number", "number"), False), (("state",), False))


class StepRow(Base):
    number = NumberField()
    job_id = CharField(16, index=True)
    module_number = IntegerField(index=True)
    state = CharField(16)
    at_ms = BigIntegerField()
    evidence = TextField()
    by = TextField()

    class Meta:
        table_name = "firmware_step"


class ProbeRow(Base):
    module_number = IntegerField(primary_key=True)
    result = TextField()
    at_ms = BigIntegerField()

    class Meta:
        table_name = "firmware_probe"


class RolloutRow(Base):
    id = NumberField()
    name = TextField()
    image_id = IntegerField(index=True)
    plan = TextField()
    state = CharField(16)
    reason = TextField()
    wave = IntegerField()
    wave_since_ms = BigIntegerField()
    created_at_ms = BigIntegerField()
    ended_at_ms = BigIntegerField(null=True)
    by = TextField()

    class Meta:
        table_name = "rollout"


class MemberRow(Base):
    rollout_id = IntegerField()
    module_number = IntegerField(index=True)
    wave = IntegerField()
    state = CharField(16)
    job_id = CharField(16)
    previous = TextField()
    note = TextField()
    forgiven = BooleanField()

    class Meta:
        table_name = "rollout_member"
        primary_key = CompositeKey("rollout_id", "module_number")


TABLES = (ImageRow, JobRow, StepRow, ProbeRow, RolloutRow, MemberRow)


def up(migrator: Any, db: Any) -> None:
    for column in ("assigned_firmware", "reported_firmware"):
        db.execute_sql(f"""ALTER TABLE "module" ADD COLUMN "{column}" TEXT NOT NULL DEFAULT ''""")
    with db.bind_ctx(TABLES):
        db.create_tables(TABLES)
