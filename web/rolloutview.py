"""Rollouts as pages show them: waves, members, how far over all, and what one may do."""

from dataclasses import dataclass
from typing import Any

from firmware.house import Firmware
from firmware.plan import Plan, Wave
from firmware.rollout_values import Rollout
from web import updatewords, wording
from web.jobview import JobView, image_names, job_view
from web.updatewords import state_icon, state_word

Count = tuple[str, str, int]
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ORDER = (
    "running", "waiting", "confirmed", "failed", "rolled_back", "skipped", "cancelled", "reverting",
    "reverted",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RolloutView:
    id: int
    name: str
    image_id: int
    serial: str
    version: str
    state: str
    word: str
    icon: str
    reason: str
    created_at_ms: int
    ended_at_ms: int | None
    by: str
    counts: tuple[Count, ...]
    total: int
    received: int
    size: int
    percent: int
    bytes: str
    rate: str
    eta: str


@dataclass(frozen=True, slots=True)
class WaveView:
    number: int
    title: str
    here: bool
    total: int
    ended: int
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class MemberView:
    module_id: str
    title: str
    wave: int
    state: str
    word: str
    icon: str
    note: str
    previous: str
    job: JobView | None


def rollout_views(firmware: Firmware, most: int, state: str = "") -> list[RolloutView]:
    """The newest first."""
    found = [rollout for rollout in firmware.rollouts.all() if state in ("", rollout.state)]
    found.sort(key=lambda rollout: -rollout.id)
    return [rollout_view(firmware, rollout) for rollout in found[:most]]


def rollout_view(firmware: Firmware, rollout: Rollout) -> RolloutView:
    said = firmware.rollouts.describe(rollout)
    serial, version = image_names(firmware, rollout.image_id)
    progress = said["progress"]
    received, size = progress["received"], progress["size"]
    return RolloutView(
        id=rollout.id,
        name=rollout.name,
        image_id=rollout.image_id,
        serial=serial,
        version=version,
        state=rollout.state,
        word=state_word(rollout.state),
        icon=state_icon(rollout.state),
        reason=said["reason"],
        created_at_ms=rollout.created_at_ms,
        ended_at_ms=rollout.ended_at_ms,
        by=rollout.by,
        counts=_counts(said["counts"]),
        total=said["counts"]["size"],
        received=received,
        size=size,
        percent=updatewords.percent(received, size),
        bytes=f"{updatewords.size(received)} of {updatewords.size(size)}",
        rate=updatewords.rate(progress["rate"]),
        eta=updatewords.eta(progress["eta"]),
    )


def _counts(counts: dict[str, int]) -> tuple[Count, ...]:
    return tuple((state, state_word(state).lower(), counts[state]) for state in _ORDER if counts.get(state))


def wave_views(firmware: Firmware, rollout: Rollout) -> list[WaveView]:
    said = firmware.rollouts.describe(rollout)
    waves = []
    for number, (wave, counts) in enumerate(zip(rollout.plan.waves, said["waves"], strict=True)):
        total = counts["size"]
        going = sum(counts.get(state, 0) for state in ("waiting", "running", "reverting"))
        here = number == rollout.wave and rollout.state in ("running", "paused", "stopped")
        waves.append(WaveView(number + 1, _wave_title(wave), here, total, total - going, _counts(counts)))
    return waves


def _wave_title(wave: Wave) -> str:
    if wave.modules:
        return f"First: {', '.join(wave.modules[:3])}{' …' if len(wave.modules) > 3 else ''}"
    return "The rest" if wave.rest else f"{wave.percent:g} % of those left"


def member_views(firmware: Firmware, rollout: Rollout, most: int) -> list[MemberView]:
    """Those in trouble and those at work first, then by wave."""
    order = {state: place for place, state in enumerate(("failed", "rolled_back", "running", "reverting"))}
    members = firmware.rollouts.members(rollout.id)
    members.sort(key=lambda said: (order.get(said["state"], 9), said["wave"]))
    return [_member(firmware, rollout, said) for said in members[:most]]


def _member(firmware: Firmware, rollout: Rollout, said: dict[str, Any]) -> MemberView:
    id, state = said["module"] or "", said["state"]
    module = firmware.core.registry.known(id) if id else None
    job = firmware.ledger.latest(module.number) if module else None
    ours = job is not None and not job.ended and job.rollout_id == rollout.id
    return MemberView(
        module_id=id,
        title=(module.name or module.id) if module else "a module that is gone",
        wave=said["wave"] + 1,
        state=state,
        word=state_word(state),
        icon=state_icon(state),
        note=said["note"],
        previous=said["previous"],
        job=job_view(firmware, job) if job is not None and ours else None,
    )


def plan_rows(plan: Plan, zone: str) -> list[tuple[str, str]]:
    """The plan in words."""
    count = plan.stop.count
    stop = f"{count} failure{'' if count == 1 else 's'}" if count else f"{plan.stop.percent:g} % failures"
    then = "everything is taken back" if plan.on_stop == "revert" else "it waits for you"
    guards = plan.guards
    rows = [
        ("Wait between waves", wording.span(plan.wait_s)),
        ("A wave is good with", f"{plan.success_percent:g} % confirmed"),
        ("Stops at", f"{stop}; then {then}"),
        ("At once", str(plan.concurrency)),
        ("Window", _window(plan, zone)),
        ("Battery at least", "" if guards.min_battery is None else f"{guards.min_battery:g} %"),
        ("Signal at least", "" if guards.min_rssi is None else f"{guards.min_rssi:g} dBm"),
        ("Not while", wording.plain(guards.not_while)),
        ("Never both", "; ".join(" and ".join(pair) for pair in plan.never_both)[: wording.MAX_SHOWN]),
    ]
    return [(word, text) for word, text in rows if text]


def _window(plan: Plan, zone: str) -> str:
    if plan.window is None:
        return ""
    days = plan.window.days
    which = "every day" if len(days) == len(_DAYS) else ", ".join(_DAYS[day] for day in days)
    return f"{plan.window.begin} to {plan.window.end}, {which} ({zone or 'UTC'})"
