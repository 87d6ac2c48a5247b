"""How people like their pages: language, time zone, colours."""

from typing import Any

from peewee import IntegerField, Model, TextField


class Base(Model):
    class Meta:
        legacy_table_names = False


class PreferenceRow(Base):
    user_id = IntegerField(primary_key=True)
    language = TextField()
    zone = TextField()
    theme = TextField()

    class Meta:
        table_name = "preference"


TABLES = (PreferenceRow,)


def up(migrator: Any, db: Any) -> None:
    with db.bind_ctx(TABLES):
        db.create_tables(TABLES)
