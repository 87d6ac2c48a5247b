"""Who may use a route: one table of levels for pages and REST alike."""

from collections.abc import Callable
from enum import StrEnum

from gateway.core.rights import Person, Principal, Service, may_act, may_administer, may_manage


class Access(StrEnum):
    """What a route asks of its visitor."""

    PUBLIC = "public"
    READ = "read"
    ACT = "act"
    PERSON = "person"
    CHANGE = "change"
    SUPPLY = "supply"
    MANAGE = "manage"
    ADMINISTER = "administer"


def _may_supply(visitor: Principal) -> bool:
    """Enter devices and their firmware: who manages them, and programs that may act."""
    return may_manage(visitor) or (isinstance(visitor, Service) and may_act(visitor))


_RULES: dict[Access, Callable[[Principal], bool]] = {
    Access.PUBLIC: lambda visitor: True,
    Access.READ: lambda visitor: isinstance(visitor, Person | Service),
    Access.ACT: may_act,
    Access.PERSON: lambda visitor: isinstance(visitor, Person),
    Access.CHANGE: lambda visitor: isinstance(visitor, Person) and may_act(visitor),
    Access.SUPPLY: _may_supply,
    Access.MANAGE: may_manage,
    Access.ADMINISTER: may_administer,
}


def permits(access: Access, visitor: Principal | None) -> bool:
    """Whether this visitor (None: nobody we know) may use a route of this level."""
    if visitor is None:
        return access is Access.PUBLIC
    return _RULES[access](visitor)
