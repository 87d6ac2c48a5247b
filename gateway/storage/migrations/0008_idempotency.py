"""Kept answers of REST; the audit trail takes new rows only, and says in which role somebody acted."""

from collections.abc import Callable
from typing import Any

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
    BlobField,
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


class AnswerRow(Base):
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


TABLES = (AnswerRow,)
# The third is for INSERT OR REPLACE, which deletes without telling the second.
TRIGGERS = {
    "audit_stays": "BEFORE UPDATE ON audit",
    "audit_remains": "BEFORE DELETE ON audit",
    "audit_grows": "BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number)",
}
REFUSE = "BEGIN SELECT RAISE(ABORT, 'The audit trail takes new rows only.'); END"


def up(migrator: Any, db: Any) -> None:
    execute: Callable[[str], object] = db.execute_sql
    execute("""ALTER TABLE "audit" ADD COLUMN "role" TEXT NOT NULL DEFAULT ''""")
    with db.bind_ctx(TABLES):
        db.create_tables(TABLES)
    if isinstance(db, SqliteDatabase):
        for name, when in TRIGGERS.items():
            execute(f"CREATE TRIGGER {name} {when} {REFUSE}")
