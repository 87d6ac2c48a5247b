"""Who may be told what, written from the table of audiences in the wire contracts, not from the code."""

import json
import re

from .facts import MARKS

Complaint = str


def _reply(actor, *_):
    return True


def _sees_live(actor, modules, data):
    return actor.has_live_page() and all(actor.sees(module) for module in modules)


def _sees(actor, modules, data):
    return all(actor.sees(module) for module in modules)


def _owner(actor, modules, data):
    return all(actor.owns(module) for module in modules)


def _oneself(actor, modules, data):
    return data.get("userId", actor.who.id) in (actor.who.id, str(actor.who.id))


def _admin_page(actor, modules, data):
    return actor.is_admin("admin")


def _admin(actor, modules, data):
    return actor.is_admin()


def _not_the_actor(actor, modules, data):
    return actor.is_admin("admin") and data.get("adminUserId") != actor.who.id


def _owner_or_admin_page(actor, modules, data):
    return _owner(actor, modules, data) or _admin_page(actor, modules, data)


TABS = {
    "client:auth:success": _reply,
    "client:auth:error": _reply,
    "client:sync:success": _reply,
    "module_states_sync": _reply,
    "command_sent": _reply,
    "command_error": _reply,
    "modules:snapshot": _reply,
    "modules:changes": _sees,
    "module:status:changed": _sees_live,
    "module:telemetry:updated": _sees_live,
    "rt_module_online": _sees_live,
    "rt_module_offline": _sees_live,
    "rt_telemetry_updated": _sees_live,
    "module_telemetry": _sees_live,
    "user:module:added": _owner,
    "user:module:removed": _owner,
    "user:module:updated": _owner,
    "user:module:online": _owner,
    "user:module:offline": _owner,
    "rt_module_added": _owner_or_admin_page,
    "rt_module_removed": _owner_or_admin_page,
    "rt_module_updated": _owner_or_admin_page,
    "user:command:sent": _oneself,
    "user:session:new": _oneself,
    "user:security:password_changed": _oneself,
    "admin:module:added": _admin_page,
    "admin:module:removed": _admin_page,
    "admin:module:updated": _admin_page,
    "admin:user:registered": _admin_page,
    "admin:user:logged_in": _admin_page,
    "admin:user:logged_out": _admin_page,
    "admin:user:profile_updated": _admin_page,
    # Also the answer to one who asks.
    "admin:stats:updated": _admin,
    "rt_user_registered": _admin_page,
    "rt_user_logged_in": _admin_page,
    "rt_user_logged_out": _admin_page,
    "rt_user_profile_updated": _admin_page,
    "rt_global_stats_updated": _admin,
    "admin:action:performed": _not_the_actor,
    "system:maintenance": lambda actor, *_: bool(actor.roles()),
    "system:alert": _admin,
    "module:command:updated": _sees,
    "module:timeline:updated": _sees,
    # Not of the documents: what our own pages for those who manage modules are told.
    "join:changed": lambda actor, *_: actor.is_staff(),
    "waiting:changed": lambda actor, *_: actor.is_staff(),
    "notifications:changed": lambda actor, *_: bool(actor.roles()),
}
# What anybody may be told: that he is refused.
NOBODYS = {"client:auth:error", "module.register", "module.connect", "module.error", "instance.to.client",
           "instace.to.client", "instance.to.node"}  # fmt: skip
REFUSALS = ("error", "loginFailed", "registered")
# Where the name of who sent a command may stand.
SENDERS = ("module:command:updated", "user:command:sent")


def complaint(world, actor, frame) -> Complaint | None:
    """What is wrong with this socket having got this frame, if anything is."""
    text = frame.text
    for uuid, id in world.uuids.items():
        text = text.replace(uuid, id)
    found = MARKS.findall(text)
    modules, people, programs, letters = ({marks[kind] for marks in found} - {""} for kind in range(4))
    about = [world.modules[id] for id in modules]
    if not _event_fits(actor, frame, about):
        return "not for this audience"
    if unseen := [module.id for module in about if not actor.sees(module)]:
        return f"tells of {unseen}"
    if strangers := [mark for mark in people if not _may_know(actor, frame, mark)]:
        return f"tells of {strangers}"
    own = getattr(actor.who, "mark", "") if actor.kind == "client" else ""
    if [mark for mark in programs if mark != own and not actor.is_admin()]:
        return "tells of a program"
    if [mark for mark in letters if world.letters[mark].to is not actor.who]:
        return "is a message to somebody else"
    return None


def _event_fits(actor, frame, about) -> bool:
    event, data = frame[0], frame[1] if len(frame) > 1 and isinstance(frame[1], dict) else {}
    if actor.kind == "tab":
        rule = TABS.get(event)
        return rule is not None and bool(rule(actor, about, data))
    if event in NOBODYS and (not event.startswith("inst") or data.get("action") in REFUSALS):
        return True
    if actor.kind == "module":
        return bool(re.fullmatch(r"module\.7\.\w+", event)) and "approved" in actor.who.life.lately
    if actor.kind == "node":
        return event in ("instance.to.node", "client.to.node")
    if actor.kind == "client":
        return event in ("instance.to.client", "instace.to.client", "node.to.client")
    return False


def _may_know(actor, frame, mark) -> bool:
    if actor.kind != "tab":
        return False
    if actor.who.mark == mark or actor.is_admin():
        return True
    # Of others one learns who sent a command, and no more.
    return frame[0] in SENDERS and f"{mark}@" not in frame.text


def apply(actor, frame) -> None:
    """Keep what a page would show from its snapshot and the changes."""
    if frame[0] == "modules:snapshot":
        actor.view = {id: json.loads(json.dumps(module)) for id, module in frame[1]["modules"].items()}
    elif frame[0] == "modules:changes" and actor.view is not None:
        for id, changes in frame[1]["modules"].items():
            if changes is None:
                actor.view.pop(id, None)
                continue
            shown = actor.view.setdefault(id, {})
            telemetry = shown.get("telemetry", {}) | changes.get("telemetry", {})
            shown.update(changes, telemetry=telemetry)
