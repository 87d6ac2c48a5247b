"""Name, place, group and owner: what a form said that it showed, against what is there by now."""

from dataclasses import dataclass
from typing import Any

from gateway.core.core import Core
from gateway.core.errors import Conflict, Said
from gateway.core.values import Module
from web.language import gettext as _
from web.language import later
from web.views import seen_by
from web.visit import Visit

# Field of the form: how people call it, and the word of its change on the time line.
FIELDS = {"name": later("name"), "location": later("place"), "group": later("group")}
_CHANGES = {"name": "renamed", "location": "moved", "group": "grouped", "owner_id": "owner"}
SHOWN = "shown_"
MAX_GROUPS = 200


@dataclass(frozen=True, slots=True)
class EditView:
    """`groups` are those that other modules are in."""

    name: str
    location: str
    group: str
    groups: tuple[str, ...]


def edit_view(visit: Visit, module: Module) -> EditView:
    seen = seen_by(visit.site.core, visit.person) if visit.manages else ()
    groups = {each.group for each in seen if each.group}
    return EditView(module.name, module.location, module.group, tuple(sorted(groups)[:MAX_GROUPS]))


def wanted(visit: Visit) -> dict[str, str]:
    """What the form changes: fields that are not as it showed them. One without a hidden value is taken."""
    names = [name for name in FIELDS if name in visit.form and (name != "group" or visit.manages)]
    shown = {name: visit.text(SHOWN + name) for name in names if SHOWN + name in visit.form}
    return {name: visit.text(name) for name in names if visit.text(name) != shown.get(name)}


def overtaken(visit: Visit, module: Module, fields: dict[str, Any]) -> list[str]:
    """Fields that somebody else has changed, to another value, since the form was shown."""
    found = []
    for name, value in fields.items():
        now = getattr(module, name)
        now = "" if now is None else str(now)
        if SHOWN + name in visit.form and now not in (visit.text(SHOWN + name), str(value)):
            found.append(name)
    return found


async def conflict(core: Core, module: Module, names: list[str], typed: dict[str, Any]) -> Conflict:
    """The refusal, with who changed what, and both values."""
    changes = await core.timeline.page(module, kind="change", limit=50)
    said = []
    for name in names:
        word = _CHANGES[name]
        who = next((each.who for each in changes if each.what == word), "") or _("somebody")
        said.append(
            _("%(who)s has changed the %(field)s to “%(now)s” meanwhile; you typed “%(typed)s”.",
              who=who, field=_(FIELDS[name]), now=getattr(module, name), typed=typed[name])
        )  # fmt: skip
    said.append(_("Nothing was saved. Save again to put yours in its place."))
    return Conflict(Said(" ".join(said)))


async def owner_conflict(core: Core, module: Module) -> Conflict:
    changes = await core.timeline.page(module, kind="change", limit=50)
    who = next((each.who for each in changes if each.what == "owner"), "") or _("somebody")
    people = {user.id: user.username for user in core.accounts.people.all()}
    now = people.get(module.owner_id or 0) or _("nobody")
    return Conflict(
        "%(who)s has changed the owner meanwhile: it belongs to %(now)s. Nothing was changed.",
        who=who,
        now=now,
    )
