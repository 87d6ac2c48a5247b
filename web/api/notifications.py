"""Alerts, what one has seen of them, and the channels that carry them outside."""

from typing import Any

import msgspec

from gateway.core.errors import Invalid
from gateway.core.notify.alert_values import Alert
from gateway.core.notify.channel_values import Channel, Plan, Target
from gateway.core.notify.quiet import QuietHours
from web.access import Access
from web.api.models_notifications import (
    AlertPage,
    AlertQuery,
    ChannelIn,
    ChannelMade,
    ChannelOut,
    ChannelPage,
    ChannelPatch,
    RulesIn,
    RulesOut,
    SeenIn,
    SeenOut,
    TestOut,
)
from web.api.paging import cursor_of, key_of, whole
from web.api.table import Call, Nothing, Operation

TAG = "Notifications"
LAST = 2**53
CHANNEL = "/notification-channels/{number:int}"


def _alert(alert: Alert, seen: int) -> dict[str, Any]:
    return {
        "id": alert.id,
        "kind": alert.kind,
        "severity": alert.severity,
        "subject": alert.subject,
        "text": str(alert.text.said),
        "closing": str(alert.closing.said) if alert.closing else None,
        "opened_at": alert.opened_at_ms,
        "closed_at": alert.closed_at_ms,
        "seen": alert.id <= seen,
    }


async def alerts(call: Call) -> Any:
    book, query, visitor = call.visit.site.core.alerting.book, call.query, call.visit.principal
    text = key_of(query.cursor) if query.cursor else str(LAST)
    if not (text.isascii() and text.isdecimal() and len(text) <= 16):
        raise Invalid("This is no cursor of ours.")
    before = int(text)
    if query.open:
        found = [alert for alert in book.open_to(visitor) if alert.id < before][: query.limit + 1]
    else:
        found = book.all_to(visitor, before, query.limit + 1)
    shown = found[: query.limit]
    seen = book.seen.get(getattr(visitor, "id", 0), 0)
    following = cursor_of(str(shown[-1].id)) if len(found) > len(shown) else None
    return {"items": [_alert(alert, seen) for alert in shown], "next": following}


async def see(call: Call) -> Any:
    book = call.visit.site.core.alerting.book
    await book.see(call.visit.person, book.newest if call.body.up_to is None else call.body.up_to)
    return {"unseen": book.unseen(call.visit.person)}


def _channel(channel: Channel) -> dict[str, Any]:
    plan = channel.plan
    return {
        "id": channel.id, "name": plan.name, "kind": plan.kind, "target": msgspec.to_builtins(plan.target),
        "kinds": list(plan.kinds), "closings": plan.closings, "quiet_begin": plan.quiet.begin,
        "quiet_end": plan.quiet.end, "language": plan.language, "active": plan.active,
        "has_secret": channel.has_secret, "created_at": channel.created_at_ms,
        "succeeded_at": channel.succeeded_at_ms, "failed_at": channel.failed_at_ms,
        "fault": str(channel.fault.said) if channel.fault else "",
        "dropped": channel.dropped,
    }  # fmt: skip


async def channels(call: Call) -> Any:
    return whole([_channel(channel) for channel in call.visit.site.core.alerting.channels.all()])


async def channel(call: Call) -> Any:
    return _channel(call.visit.site.core.alerting.channels.get(call.path["number"]))


async def add_channel(call: Call) -> Any:
    new = call.body
    plan = Plan(
        name=new.name, kind=new.kind, target=Target(**new.target.model_dump(exclude_unset=True)),
        kinds=tuple(new.kinds), closings=new.closings, quiet=QuietHours(new.quiet_begin, new.quiet_end),
        language=new.language, active=new.active,
    )  # fmt: skip
    made, secret = await call.visit.site.core.alerting.channels.add(plan, new.secret, call.visit.person)
    own = plan.kind == "webhook" and not new.secret
    return _channel(made) | {"secret": secret if own else None}


async def change_channel(call: Call) -> Any:
    known = call.visit.site.core.alerting.channels
    before = known.get(call.path["number"])
    changes = call.body.model_dump(exclude_unset=True)
    if not changes:
        raise Invalid("Nothing to change was sent.")
    secret = changes.pop("secret", None)
    plan = _changed(before.plan, {name: value for name, value in changes.items() if value is not None})
    return _channel(await known.change(before.id, plan, secret, call.visit.person))


def _changed(plan: Plan, changes: dict[str, Any]) -> Plan:
    begin = changes.pop("quiet_begin", plan.quiet.begin)
    end = changes.pop("quiet_end", plan.quiet.end)
    changes["quiet"] = QuietHours(begin, end)
    if "target" in changes:
        changes["target"] = msgspec.structs.replace(plan.target, **changes["target"])
    if "kinds" in changes:
        changes["kinds"] = tuple(changes["kinds"])
    return msgspec.structs.replace(plan, **changes)


async def remove_channel(call: Call) -> None:
    await call.visit.site.core.alerting.channels.remove(call.path["number"], call.visit.person)


async def test_channel(call: Call) -> Any:
    fault = await call.visit.site.core.alerting.post.test(call.path["number"], call.visit.person)
    return {"taken": fault is None, "fault": fault or ""}


async def rules(call: Call) -> Any:
    known = call.visit.site.core.alerting.rules
    return {"default": known.default, "groups": dict(known.groups)}


async def set_rules(call: Call) -> Any:
    core = call.visit.site.core
    await core.alerting.rules.set(call.body.groups, call.visit.person)
    if call.body.default is not None:
        await core.choices.set({"alerts.offline_minutes": call.body.default}, call.visit.person)
    return await rules(call)


OPERATIONS = [
    Operation("GET", "/notifications", alerts, Access.READ, "Alerts, the newest first", TAG,
              reply=AlertPage, query=AlertQuery),
    Operation("POST", "/notifications/seen", see, Access.PERSON, "Mark alerts as seen, for oneself", TAG,
              reply=SeenOut, body=SeenIn),
    Operation("GET", "/notification-channels", channels, Access.ADMINISTER, "Where alerts are told", TAG,
              reply=ChannelPage),
    Operation("POST", "/notification-channels", add_channel, Access.ADMINISTER,
              "Add a channel; the secret made for a webhook comes once", TAG, reply=ChannelMade,
              body=ChannelIn, status=201, errors=(409,)),
    Operation("GET", CHANNEL, channel, Access.ADMINISTER, "One channel, and how it goes", TAG,
              reply=ChannelOut),
    Operation("PATCH", CHANNEL, change_channel, Access.ADMINISTER, "Change a channel", TAG, reply=ChannelOut,
              body=ChannelPatch, errors=(409,)),
    Operation("DELETE", CHANNEL, remove_channel, Access.ADMINISTER, "Remove it and what waits for it", TAG,
              status=204),
    Operation("POST", CHANNEL + "/test", test_channel, Access.ADMINISTER, "Send a test now", TAG,
              reply=TestOut, body=Nothing, errors=(503,)),
    Operation("GET", "/notification-rules", rules, Access.ADMINISTER, "After how long a module is missed",
              TAG, reply=RulesOut),
    Operation("PUT", "/notification-rules", set_rules, Access.ADMINISTER, "Set the default and all groups",
              TAG, reply=RulesOut, body=RulesIn),
]  # fmt: skip
