"""Tables for invitations, sign-ups, second factors and tokens; and what a session was opened with."""

from peewee import BigIntegerField, CharField, IntegerField, TextField

from gateway.storage.models import Base, NumberField


class InvitationRow(Base):
    """A link that makes one account; it goes when it was used, taken back or is over. `groups` is JSON."""

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
    """Somebody who asked for an account and waits for an admin."""

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
    """Somebody's second factor: its sealed secret, and the last time step that was used."""

    user_id = IntegerField(primary_key=True)
    secret = TextField()
    last_step = BigIntegerField()
    created_at_ms = BigIntegerField()

    class Meta:
        table_name = "second_factor"


class RecoveryRow(Base):
    """A recovery code that was not used yet."""

    id = NumberField()
    user_id = IntegerField(index=True)
    digest = CharField(64)

    class Meta:
        table_name = "recovery_code"


class PersonalTokenRow(Base):
    """A token that speaks for a person, with no more rights than it was given (`role`, `scope`)."""

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


PEOPLE_TABLES: tuple[type[Base], ...] = (InvitationRow, SignUpRow, FactorRow, RecoveryRow, PersonalTokenRow)
