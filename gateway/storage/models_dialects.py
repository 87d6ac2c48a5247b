"""The tables of the socket dialects and of ownership; times are UTC milliseconds."""

from peewee import BigIntegerField, CharField, CompositeKey, IntegerField, TextField

from gateway.storage.models import Base, NumberField


class StandingRow(Base):
    """The last of each setting (a command with `keep`) that a module was given; `params` is JSON."""

    module_number = IntegerField()
    name = TextField()
    params = TextField()

    class Meta:
        table_name = "standing"
        primary_key = CompositeKey("module_number", "name")


class ClaimCodeRow(Base):
    """How many claim codes of a module are dead already: the code of a new round is another one."""

    module_number = IntegerField(primary_key=True)
    round = IntegerField()

    class Meta:
        table_name = "claim_code"


class ClientRow(Base):
    """A program registered over `client.to.instance`; `information` is JSON."""

    id = NumberField()
    token_digest = CharField(64, unique=True)
    information = TextField()
    owner_id = IntegerField(null=True)
    address = TextField()
    created_at_ms = BigIntegerField()
    last_login_ms = BigIntegerField(null=True)

    class Meta:
        table_name = "client"


class LetterRow(Base):
    """A pending response: what waits for a client or a module (`kind`, number) until it is processed."""

    id = NumberField()
    to_kind = CharField(8)
    to_number = IntegerField()
    from_kind = CharField(8)
    from_number = IntegerField()
    content = TextField()
    created_at_ms = BigIntegerField()

    class Meta:
        table_name = "letter"
        indexes = ((("to_kind", "to_number"), False),)


DIALECT_TABLES: tuple[type[Base], ...] = (StandingRow, ClaimCodeRow, ClientRow, LetterRow)
