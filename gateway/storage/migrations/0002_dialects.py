"""Tables for the socket dialects: standing settings, claim codes, clients and their pending responses."""

from typing import Any

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
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


class StandingRow(Base):
    module_number = IntegerField()
    name = TextField()
    params = TextField()

    class Meta:
        table_name = "standing"
        primary_key = CompositeKey("module_number", "name")


class ClaimCodeRow(Base):
    module_number = IntegerField(primary_key=True)
    round = IntegerField()

    class Meta:
        table_name = "claim_code"


class ClientRow(Base):
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


TABLES = (StandingRow, ClaimCodeRow, ClientRow, LetterRow)


def up(migrator: Any, db: Any) -> None:
    with db.bind_ctx(TABLES):
        db.create_tables(TABLES)
