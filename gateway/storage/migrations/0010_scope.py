"""A table for what people reach."""

from typing import Any

from peewee import BooleanField, IntegerField, Model, TextField


class Base(Model):
    class Meta:
        legacy_table_names = False


class ScopeRow(Base):
    user_id = IntegerField(primary_key=True)
    groups = TextField(default="[]")
    acts = BooleanField(default=True)

    class Meta:
        table_name = "person_scope"


def up(migrator: Any, db: Any) -> None:
    with db.bind_ctx([ScopeRow]):
        db.create_tables([ScopeRow])
