"""What a person may do with a rollout now, and what will happen then, in words."""

from collections.abc import Callable
from dataclasses import dataclass

from firmware.house import Firmware
from firmware.rollout_rules import STEPS
from firmware.rollout_values import Rollout
from web.jobview import image_names
from web.language import gettext as _
from web.language import later, ngettext


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


def _pause(count: _Count, admin: bool) -> StepView:
    what = ngettext(
        "Nothing more begins until somebody resumes it: %(num)s module will wait.",
        "Nothing more begins until somebody resumes it: %(num)s modules will wait.", count.waiting,
    )  # fmt: skip
    if count.running:
        what += " " + ngettext(
            "%(num)s module under way goes on to the end.", "%(num)s modules under way go on to the end.",
            count.running,
        )  # fmt: skip
    return StepView("pause", _("Pause"), "pause", what, _("Pause it"))


def _resume(count: _Count, admin: bool) -> StepView:
    what = ngettext(
        "It goes on where it stood, with %(num)s module still to come.",
        "It goes on where it stood, with %(num)s modules still to come.", count.waiting,
    )  # fmt: skip
    if count.stopped:
        what += " " + _("What failed so far no longer counts towards the next stop.")
    return StepView("resume", _("Resume"), "send", what, _("Resume it"))


def _retry(count: _Count, admin: bool) -> StepView | None:
    again = admin and count.rolled_back
    if not count.failed and not again:
        return None
    what = ngettext(
        "%(num)s module that failed gets %(serial)s once more.",
        "%(num)s modules that failed get %(serial)s once more.", count.failed, serial=count.serial,
    )  # fmt: skip
    if not count.failed:
        sentence = later("%(serial)s is offered again to those that went back from it, when you tick so.")
        what = _(sentence, serial=count.serial)
    override = ngettext(
        "Also %(num)s module that had it and went back", "Also %(num)s modules that had it and went back",
        count.rolled_back,
    )  # fmt: skip
    return StepView(
        "retry", _("Retry failed"), "retry", what, _("Try again"), override=override if again else ""
    )


def _cancel(count: _Count, admin: bool) -> StepView:
    what = [ngettext(
        "It ends here. %(num)s module that waits never gets %(serial)s.",
        "It ends here. %(num)s modules that wait never get %(serial)s.", count.waiting, serial=count.serial,
    )]  # fmt: skip
    if count.running:
        what.append(ngettext(
            "%(num)s module under way is told to give it up.",
            "%(num)s modules under way are told to give it up.", count.running,
        ))  # fmt: skip
    what.append(_("Those that run it keep it."))
    return StepView("cancel", _("Cancel"), "cancel", " ".join(what), _("Cancel the rollout"), danger=True)


def _revert(count: _Count, admin: bool) -> StepView | None:
    if not count.have:
        return None
    what = ngettext(
        "At most %(num)s module, which has %(serial)s or is getting it, gets back what it ran before, as an "
        "update of its own. Nobody else gets it.",
        "Up to %(num)s modules, all that have %(serial)s or are getting it, get back what they ran before, "
        "as updates of their own. Nobody else gets it.", count.have, serial=count.serial,
    )  # fmt: skip
    return StepView("revert", _("Revert all"), "back", what, _("Take it back everywhere"), danger=True)


_MAKERS: dict[str, Callable[[_Count, bool], StepView | None]] = {
    "pause": _pause,
    "resume": _resume,
    "retry": _retry,
    "cancel": _cancel,
    "revert": _revert,
}
