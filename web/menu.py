"""The main menu: one table."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    href: str
    label: str
    icon: str
    here: bool = False


# Each place, and whether it is for those who manage, who administer, or who do neither.
_PLACES = (
    ("/", "Dashboard", "home", ""),
    ("/modules", "Modules", "modules", ""),
    ("/claim", "Claim", "key", "own"),
    ("/waiting", "Waiting", "waiting", "manage"),
    ("/firmware", "Firmware", "firmware", "manage"),
    ("/admin", "Admin", "admin", "administer"),
    ("/account", "Account", "account", ""),
)
# Pages that belong to a place of another name.
_WITHIN = {"/rollouts": "/firmware"}


def menu(manages: bool, administers: bool, path: str) -> list[Item]:
    may = {"": True, "own": not manages, "manage": manages, "administer": administers}
    first = "/" + path.strip("/").split("/")[0]
    first = _WITHIN.get(first, first)
    return [Item(href, label, icon, href == first) for href, label, icon, who in _PLACES if may[who]]
