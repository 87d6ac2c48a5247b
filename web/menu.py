"""The main menu: one table."""

from dataclasses import dataclass

from web.language import gettext, later


@dataclass(frozen=True, slots=True)
class Item:
    href: str
    label: str
    icon: str
    here: bool = False


# Each place, and whether it is for those who manage, who administer, or who do neither.
_PLACES = (
    ("/", later("Dashboard"), "home", ""),
    ("/modules", later("Modules"), "modules", ""),
    ("/claim", later("Claim"), "key", "own"),
    ("/waiting", later("Waiting"), "waiting", "manage"),
    ("/firmware", later("Firmware"), "firmware", "manage"),
    ("/types", later("Types"), "swap", "manage"),
    ("/admin", later("Admin"), "admin", "administer"),
    ("/account", later("Account"), "account", ""),
)
# Pages that belong to a place of another name.
_WITHIN = {"/rollouts": "/firmware"}


# So many stand in the bar at the foot of a phone; the others are behind "More".
IN_BAR = 4


def menu(manages: bool, administers: bool, path: str) -> list[Item]:
    may = {"": True, "own": not manages, "manage": manages, "administer": administers}
    first = "/" + path.strip("/").split("/")[0]
    first = _WITHIN.get(first, first)
    return [Item(href, gettext(label), icon, href == first) for href, label, icon, who in _PLACES if may[who]]
