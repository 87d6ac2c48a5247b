"""Tables for invitations, sign-ups, second factors and tokens; and what a session was opened with."""

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


class InvitationRow(Base):
    id = NumberField()
    digest = CharField(64, unique=True)
    role = CharField(16)
    groups = TextField()
    note = TextField()
    by = TextField()
    created_at_ms = BigIntegerField()
    expires_at_ms = BigIntegerField()

    class Meta:
        table_name = "invitation"


class SignUpRow(Base):
    id = NumberField()
    username = TextField()
    name = TextField()
    email = TextField()
    note = TextField()
    password_hash = TextField()
    address = TextField()
    created_at_ms = BigIntegerField()

    class Meta:
        table_name = "sign_up"


class FactorRow(Base):
    user_id = IntegerField(primary_key=True)
    secret = TextField()
    last_step = BigIntegerField()
    created_at_ms = BigIntegerField()

    class Meta:
        table_name = "second_factor"


class RecoveryRow(Base):
    id = NumberField()
    user_id = IntegerField(index=True)
    digest = CharField(64)

    class Meta:
        table_name = "recovery_code"


class PersonalTokenRow(Base):
    id = NumberField()
    user_id = IntegerField(index=True)
    name = TextField()
    role = CharField(16)
    scope = CharField(8)
    digest = CharField(64, unique=True)
    created_at_ms = BigIntegerField()
    expires_at_ms = BigIntegerField(null=True)
    used_at_ms = BigIntegerField(null=True)

    class Meta:
        table_name = "personal_token"


TABLES = (InvitationRow, SignUpRow, FactorRow, RecoveryRow, PersonalTokenRow)


def up(migrator: Any, db: Any) -> None:
    db.execute_sql("""ALTER TABLE "session" ADD COLUMN "agent" TEXT NOT NULL DEFAULT ''""")
    with db.bind_ctx(TABLES):
        db.create_tables(TABLES)
