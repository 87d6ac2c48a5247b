"""The table of how people like their pages."""

from peewee import IntegerField, TextField

from gateway.storage.models import Base


class PreferenceRow(Base):
    """Empty texts: as the browser says."""

    user_id = IntegerField(primary_key=True)
    language = TextField()
    zone = TextField()
    theme = TextField()

    class Meta:
        table_name = "preference"


PREFERENCE_TABLES: tuple[type[Base], ...] = (PreferenceRow,)
