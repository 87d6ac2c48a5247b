"""What a person may do with a rollout now, and what will happen then, in words."""

from collections.abc import Callable
from dataclasses import dataclass

from firmware.house import Firmware
from firmware.rollout_rules import STEPS
from firmware.rollout_values import Rollout
from web.jobview import image_names


@dataclass(frozen=True, slots=True)
class StepView:
    """`what` is said before it is confirmed; `override`: what an admin may add."""

    name: str
    word: str
    icon: str
    what: str
    button: str
    danger: bool = False
    override: str = ""


@dataclass(frozen=True, slots=True)
class _Count:
    """How many modules each step is about."""

    serial: str
    stopped: bool
    waiting: int
    running: int
    failed: int
    rolled_back: int
    have: int


def step_views(firmware: Firmware, rollout: Rollout, *, admin: bool) -> list[StepView]:
    count = _count(firmware, rollout)
    views = [make(count, admin) for name, make in _MAKERS.items() if rollout.state in STEPS[name]]
    return [view for view in views if view is not None]


def _count(firmware: Firmware, rollout: Rollout) -> _Count:
    counts: dict[str, int] = firmware.rollouts.describe(rollout)["counts"]
    running = counts.get("running", 0)
    return _Count(
        serial=image_names(firmware, rollout.image_id)[0],
        stopped=rollout.state == "stopped",
        waiting=counts.get("waiting", 0),
        running=running + counts.get("reverting", 0),
        failed=counts.get("failed", 0),
        rolled_back=counts.get("rolled_back", 0),
        have=running + counts.get("confirmed", 0) + counts.get("failed", 0) + counts.get("rolled_back", 0),
    )


def _modules(count: int) -> str:
    return f"{count or 'no'} module{'' if count == 1 else 's'}"


def _pause(count: _Count, admin: bool) -> StepView:
    what = f"Nothing more begins until somebody resumes it: {_modules(count.waiting)} will wait."
    if count.running:
        what += f" {_modules(count.running).capitalize()} under way go on to the end."
    return StepView("pause", "Pause", "pause", what, "Pause it")


def _resume(count: _Count, admin: bool) -> StepView:
    what = f"It goes on where it stood, with {_modules(count.waiting)} still to come."
    if count.stopped:
        what += " What failed so far no longer counts towards the next stop."
    return StepView("resume", "Resume", "send", what, "Resume it")


def _retry(count: _Count, admin: bool) -> StepView | None:
    again = admin and count.rolled_back
    if not count.failed and not again:
        return None
    what = f"{_modules(count.failed).capitalize()} that failed get {count.serial} once more."
    if not count.failed:
        what = f"{count.serial} is offered again to those that went back from it, when you tick so."
    override = f"Also {_modules(count.rolled_back)} that had it and went back" if again else ""
    return StepView("retry", "Retry failed", "retry", what, "Try again", override=override)


def _cancel(count: _Count, admin: bool) -> StepView:
    what = f"It ends here. {_modules(count.waiting).capitalize()} that wait never get {count.serial}"
    what += f", and {_modules(count.running)} under way are told to give it up." if count.running else "."
    return StepView(
        "cancel", "Cancel", "cancel", f"{what} Those that run it keep it.", "Cancel the rollout", danger=True
    )


def _revert(count: _Count, admin: bool) -> StepView | None:
    if not count.have:
        return None
    what = (
        f"Up to {_modules(count.have)}, all that have {count.serial} or are getting it, get back what they "
        "ran before, as updates of their own. Nobody else gets it."
    )
    return StepView("revert", "Revert all", "back", what, "Take it back everywhere", danger=True)


_MAKERS: dict[str, Callable[[_Count, bool], StepView | None]] = {
    "pause": _pause,
    "resume": _resume,
    "retry": _retry,
    "cancel": _cancel,
    "revert": _revert,
}
