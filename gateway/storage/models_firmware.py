"""The tables of firmware: images, the ledger of update jobs, rollouts. Times are UTC milliseconds."""

from peewee import BigIntegerField, BooleanField, CharField, CompositeKey, IntegerField, TextField

from gateway.storage.models import Base, NumberField


class ImageRow(Base):
    """A firmware image; its bytes lie in a file named by `digest` (hexadecimal SHA-256).

    `header` is a JSON object, `hardware` a JSON list of the hardware names it is for (empty: any).
    """

    id = NumberField()
    serial = TextField()
    folded_serial = TextField(unique=True)
    version = TextField()
    type = IntegerField()
    digest = CharField(64)
    md5 = CharField(32)
    size = IntegerField()
    kind = CharField(16)
    header = TextField(default="{}")
    hardware = TextField(default="[]")
    min_version = TextField(default="")
    notes = TextField(default="")
    signature = TextField(default="")
    signed_by = TextField(default="")
    created_at_ms = BigIntegerField()
    by = TextField()

    class Meta:
        table_name = "firmware_image"
        indexes = ((("digest", "type"), True),)


class JobRow(Base):
    """One update of one module, from its assignment to its end."""

    number = NumberField()
    id = CharField(16, unique=True)
    module_number = IntegerField()
    image_id = IntegerField(index=True)
    previous = TextField(default="")
    state = CharField(16)
    attempt = IntegerField(default=0)
    received = IntegerField(default=0)
    size = IntegerField()
    due_ms = BigIntegerField()
    since_ms = BigIntegerField()
    created_at_ms = BigIntegerField()
    error = TextField(null=True)
    by = TextField()
    rollout_id = IntegerField(null=True)
    override = BooleanField(default=False)

    class Meta:
        table_name = "firmware_job"
        indexes = ((("module_number", "number"), False), (("state",), False))


class StepRow(Base):
    """One step of a job, with what it rests on."""

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
    """How a module can be reached with an image, as its first probe showed: JSON."""

    module_number = IntegerField(primary_key=True)
    result = TextField()
    at_ms = BigIntegerField()

    class Meta:
        table_name = "firmware_probe"


class RolloutRow(Base):
    """An image on its way to many modules; `plan` is JSON."""

    id = NumberField()
    name = TextField()
    image_id = IntegerField(index=True)
    plan = TextField()
    state = CharField(16)
    reason = TextField(default="")
    wave = IntegerField(default=0)
    wave_since_ms = BigIntegerField()
    created_at_ms = BigIntegerField()
    ended_at_ms = BigIntegerField(null=True)
    by = TextField()

    class Meta:
        table_name = "rollout"


class MemberRow(Base):
    """A module in a rollout: its wave, how far it is, what it ran before.

    `forgiven`: its failure does not count any more, because somebody looked at it and went on.
    """

    rollout_id = IntegerField()
    module_number = IntegerField(index=True)
    wave = IntegerField()
    state = CharField(16)
    job_id = CharField(16, default="")
    previous = TextField(default="")
    note = TextField(default="")
    forgiven = BooleanField(default=False)

    class Meta:
        table_name = "rollout_member"
        primary_key = CompositeKey("rollout_id", "module_number")


FIRMWARE_TABLES: tuple[type[Base], ...] = (ImageRow, JobRow, StepRow, ProbeRow, RolloutRow, MemberRow)
