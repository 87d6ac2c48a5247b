"""Roles in plain words, said once for every page."""

from collections.abc import Iterable

from gateway.core.rights import Role
from web.language import gettext, later

_NAMES = {Role.USER: later("user"), Role.TECHNICIAN: later("technician"), Role.ADMIN: later("admin")}
_WORDS = {
    Role.USER: later("User: sees and uses own modules"),
    Role.TECHNICIAN: later("Technician: manages modules and firmware"),
    Role.ADMIN: later("Admin: everything, people and settings too"),
}


def role_name(role: str) -> str:
    """A role as one word in a sentence."""
    return gettext(_NAMES[Role(role)])


def names(roles: Iterable[Role] = Role) -> list[tuple[str, str]]:
    return [(role.value, role_name(role)) for role in roles]


def choices(roles: Iterable[Role] = Role) -> list[tuple[str, str]]:
    """Roles to choose from, each with what it may."""
    return [(role.value, gettext(_WORDS[role])) for role in roles]
