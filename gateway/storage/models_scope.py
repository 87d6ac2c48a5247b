"""What an admin lets a person reach."""

from peewee import BooleanField, IntegerField, TextField

from gateway.storage.models import Base


class ScopeRow(Base):
    """`groups` is a JSON list of names; `acts` false: the person may only look."""

    user_id = IntegerField(primary_key=True)
    groups = TextField(default="[]")
    acts = BooleanField(default=True)

    class Meta:
        table_name = "person_scope"


SCOPE_TABLES: tuple[type[Base], ...] = (ScopeRow,)
