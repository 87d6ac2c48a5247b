"""Rollouts as pages show them: waves, members, how far over all, and what one may do."""

from dataclasses import dataclass
from typing import Any

from firmware.house import Firmware
from firmware.plan import Plan, Wave
from firmware.rollout_values import Rollout
from gateway.core.rights import Principal
from web import updatewords, wording
from web.jobview import JobView, image_names, job_view
from web.language import gettext as _
from web.language import ngettext
from web.recorded import recorded
from web.updatewords import state_icon, state_word

Count = tuple[str, str, int]
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


def rollout_views(firmware: Firmware, visitor: Principal, most: int, state: str = "") -> list[RolloutView]:
    """Those that the visitor may see, the newest first."""
    found = [rollout for rollout in firmware.rollouts.all_to(visitor) if state in ("", rollout.state)]
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
        reason=recorded(said["reason"]),
        created_at_ms=rollout.created_at_ms,
        ended_at_ms=rollout.ended_at_ms,
        by=rollout.by,
        counts=_counts(said["counts"]),
        total=said["counts"]["size"],
        received=received,
        size=size,
        percent=updatewords.percent(received, size),
        bytes=updatewords.part(received, size),
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
        names = ", ".join([*wave.modules[:3], "…"] if len(wave.modules) > 3 else wave.modules)
        return _("First: %(names)s", names=names)
    return _("The rest") if wave.rest else _("%(share)s of those left", share=wording.percent(wave.percent))


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
        title=(module.name or module.id) if module else _("a module that is gone"),
        wave=said["wave"] + 1,
        state=state,
        word=state_word(state),
        icon=state_icon(state),
        note=recorded(said["note"]),
        previous=said["previous"],
        job=job_view(firmware, job) if job is not None and ours else None,
    )


def plan_rows(plan: Plan, zone: str) -> list[tuple[str, str]]:
    """The plan in words."""
    guards = plan.guards
    rows = [
        (_("Wait between waves"), wording.span(plan.wait_s)),
        (_("A wave is good with"), _("%(share)s confirmed", share=wording.percent(plan.success_percent))),
        (_("Stops at"), _stop(plan)),
        (_("At once"), wording.number(plan.concurrency)),
        (_("Window"), _window(plan, zone)),
        (_("Battery at least"), "" if guards.min_battery is None else wording.percent(guards.min_battery)),
        (_("Signal at least"), "" if guards.min_rssi is None else wording.measured(guards.min_rssi, "dBm")),
        (_("Not while"), wording.plain(guards.not_while)),
        (_("Never both"), "; ".join(" + ".join(pair) for pair in plan.never_both)[: wording.MAX_SHOWN]),
    ]
    return [(word, text) for word, text in rows if text]


def _stop(plan: Plan) -> str:
    if plan.stop.count:
        at = ngettext("%(num)s failure", "%(num)s failures", plan.stop.count)
    else:
        at = _("%(share)s failures", share=wording.percent(plan.stop.percent or 0))
    if plan.on_stop == "revert":
        return _("%(limit)s; then everything is taken back", limit=at)
    return _("%(limit)s; then it waits for you", limit=at)


def _window(plan: Plan, zone: str) -> str:
    if plan.window is None:
        return ""
    days, names = plan.window.days, wording.days()
    which = _("every day") if len(days) == len(names) else ", ".join(names[day] for day in days)
    return _(
        "%(begin)s to %(end)s, %(days)s (%(zone)s)",
        begin=plan.window.begin, end=plan.window.end, days=which, zone=zone or "UTC",
    )  # fmt: skip
