"""Which modules a list shows and in which order: what its address says, and nothing else."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

from gateway.core.core import Core
from gateway.core.rights import Principal
from gateway.core.values import Module
from web.views import module_type, natural, type_name, visible

# In a filter: those that have none.
NONE = "-"
MAX_FILTER = 200
Key = Callable[[Module], Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """Filters let all through when they are empty; `sort` is a column, with a `-` before it from the end."""

    q: str = ""
    status: str = ""
    type: str = ""
    group: str = ""
    owner: str = ""
    sort: str = "name"

    @property
    def column(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")

    @property
    def filtered(self) -> bool:
        return replace(self, sort="name") != Listing()

    def query(self, **changes: object) -> str:
        """As in an address, without what is as it always is."""
        said = {field.name: getattr(self, field.name) for field in fields(self)} | changes
        return urlencode({name: value for name, value in said.items() if value and (name, value) != _USUAL})

    def sorted_by(self, column: str) -> str:
        """The address of the same list by this column; the other way round when it is by it already."""
        turned = f"-{column}" if self.sort == column else column
        return _address(self.query(sort=turned))

    def page(self, start: int) -> str:
        return _address(self.query(start=start or ""))


_USUAL = ("sort", "name")


def _address(query: str) -> str:
    return f"/modules?{query}" if query else "/modules"


def listing_of(said: Mapping[str, str]) -> Listing:
    """From a query or a form; what is not understood is as if it was not said."""
    wish = {field.name: said.get(field.name, "").strip()[:MAX_FILTER] for field in fields(Listing)}
    if wish["sort"].removeprefix("-") not in COLUMNS:
        wish["sort"] = "name"
    return Listing(**wish)


def listed(core: Core, visitor: Principal, listing: Listing) -> tuple[list[Module], list[Module]]:
    """All that the visitor may see, and those of them that the list shows, in its order."""
    seen = list(visible(core, visitor))
    found = [module for module in seen if _passes(core, module, listing)] if listing.filtered else list(seen)
    if listing.column == "name":
        return seen, found[::-1] if listing.descending else found
    # Within what is alike the order of names stays.
    return seen, sorted(found, key=_keys(core)[listing.column], reverse=listing.descending)


def _passes(core: Core, module: Module, listing: Listing) -> bool:
    if listing.status and core.status(module) != listing.status:
        return False
    if listing.type and str(module.type) != listing.type:
        return False
    if listing.group and module.group != ("" if listing.group == NONE else listing.group):
        return False
    owner = NONE if module.owner_id is None else str(module.owner_id)
    if listing.owner and owner != listing.owner:
        return False
    wanted = listing.q.lower()
    texts = (module.id, module.name, module.location, module.group)
    return not wanted or any(wanted in text.lower() for text in texts)


_RANKS = {"online": 0, "sleeping": 1, "unknown": 2, "offline": 3, "pending": 4, "rejected": 5}


def _keys(core: Core) -> dict[str, Key]:
    names = owner_names(core)
    return {
        "status": lambda module: _RANKS.get(core.status(module), 9),
        "last_seen": lambda module: -(core.presence.of(module.id).last_seen_ms or 0),
        "type": lambda module: module_type(core, module.type).name.lower(),
        # Those without one come last.
        "group": lambda module: (not module.group, natural(module.group)),
        "owner": lambda module: (module.owner_id is None, names.get(module.owner_id or 0, "").lower()),
    }


COLUMNS = ("name", "status", "last_seen", "type", "group", "owner")


def owner_names(core: Core) -> dict[int, str]:
    return {user.id: user.username for user in core.accounts.people.all()}


@dataclass(frozen=True, slots=True)
class Facets:
    """How many there are of each: (code, name, count), for the filters."""

    statuses: Counter[str]
    types: list[tuple[str, str, int]]
    groups: list[tuple[str, str, int]]
    owners: list[tuple[str, str, int]]


def facets(core: Core, modules: Iterable[Module]) -> Facets:
    known = list(modules)
    # Each on its own, which takes half as long as all in one loop.
    statuses = Counter(map(core.status, known))
    types = Counter(module.type for module in known)
    groups = Counter(module.group for module in known)
    owners = Counter(module.owner_id for module in known)
    names = owner_names(core)
    return Facets(
        statuses,
        sorted(((str(code), type_name(core, code), n) for code, n in types.items()), key=_by_name),
        sorted(((group or NONE, group, n) for group, n in groups.items()), key=_by_name),
        sorted(
            ((NONE if id is None else str(id), names.get(id or 0, ""), n) for id, n in owners.items()),
            key=_by_name,
        ),
    )


def _by_name(facet: tuple[str, str, int]) -> tuple[bool, str]:
    return not facet[1], natural(facet[1])
