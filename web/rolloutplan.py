"""The form of a new rollout, turned into its plan; whether that makes sense is for the rollouts to say."""

from typing import Any

import msgspec

from firmware.values import Image
from gateway.core.errors import Invalid, Said
from web.visit import Visit

_MINUTE_S = 60


def typed_plan(visit: Visit, image: Image) -> dict[str, Any]:
    """Raises `Invalid` naming the field as the form calls it."""
    plan: dict[str, Any] = {
        "name": visit.text("name"),
        "firmware_id": image.id,
        "waves": _waves(visit),
        "wait_s": (_number(visit, "wait", Said("Wait")) or 0) * _MINUTE_S,
        "success_percent": _number(visit, "success", Said("Confirmed at least")),
        "stop": _stop(visit),
        "on_stop": visit.text("on_stop") or "pause",
        "concurrency": _whole(visit, "concurrency", Said("At once")),
        "window": _window(visit),
        "guards": _guards(visit),
        "never_both": _pairs(visit.text("never_both")),
    }
    plan |= _targets(visit, image)
    return {name: value for name, value in plan.items() if value not in (None, [], {})}


def _targets(visit: Visit, image: Image) -> dict[str, Any]:
    match visit.text("who"):
        case "modules":
            if not (ids := visit.texts("id")):
                raise Invalid("Choose the modules that get it, or give it to all of the type.")
            return {"modules": ids}
        case "group":
            return {"group": visit.text("group")}
        case _:
            return {"type": image.type}


def _waves(visit: Visit) -> list[dict[str, Any]]:
    """First the canaries, then so many percent, then the rest."""
    canaries, percent = visit.texts("canary"), _number(visit, "percent", Said("Percent of the second wave"))
    waves: list[dict[str, Any]] = [{"modules": canaries}] if canaries else []
    if percent and percent < 100:
        waves.append({"percent": percent})
    return [*waves, {"rest": True}]


def _stop(visit: Visit) -> dict[str, Any] | None:
    if visit.text("stop_by") == "percent":
        percent = _number(visit, "stop_percent", Said("Stop at percent"))
        return None if percent is None else {"percent": percent}
    count = _whole(visit, "stop_count", Said("Stop at failures"))
    return None if count is None else {"count": count}


def _window(visit: Visit) -> dict[str, Any] | None:
    begin, end = visit.text("from"), visit.text("to")
    if not begin and not end:
        return None
    days = [int(day) for day in visit.texts("day") if day in "0123456" and len(day) == 1]
    if not days:
        raise Invalid("Choose at least one day on which the window opens.")
    return {"from": begin, "to": end, "days": days}


def _guards(visit: Visit) -> dict[str, Any]:
    guards = {
        "min_battery": _number(visit, "min_battery", Said("Battery")),
        "min_rssi": _number(visit, "min_rssi", Said("Signal")),
        "not_while": _conditions(visit.text("not_while")),
    }
    return {name: value for name, value in guards.items() if value not in (None, {})}


def _conditions(text: str) -> dict[str, Any]:
    """Lines such as `pump = true`; what is no number, true or false is a text."""
    conditions: dict[str, Any] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        key, sign, value = (part.strip() for part in line.partition("="))
        if not (key and sign and value):
            raise Invalid("%(line)r is no condition; write one a line, such as pump = true.", line=line[:60])
        conditions[key] = _value(value)
    return conditions


def _value(text: str) -> Any:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return found if isinstance(found, bool | int | float | str) else text


def _pairs(text: str) -> list[list[str]]:
    """Lines of two ids with a comma or a space between."""
    pairs = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        ids = line.replace(",", " ").split()
        if len(ids) != 2:
            raise Invalid("%(line)r is no pair; write two module ids a line.", line=line[:60])
        pairs.append(ids)
    return pairs


def _number(visit: Visit, name: str, label: str) -> float | None:
    text = visit.text(name)
    try:
        return float(text) if text else None
    except ValueError:
        raise Invalid("%(label)s: %(text)r is no number.", label=label, text=text[:40]) from None


def _whole(visit: Visit, name: str, label: str) -> int | None:
    text = visit.text(name)
    if text and (not text.isdecimal() or len(text) > 9):
        raise Invalid("%(label)s: %(text)r is no whole number.", label=label, text=text[:40])
    return int(text) if text else None
