"""A channel as a form has it, and back."""

from dataclasses import dataclass
from typing import Any

from gateway.core.errors import Invalid
from gateway.core.notify.alert_values import KINDS
from gateway.core.notify.channel_values import ChannelKind, Plan, Target
from gateway.core.notify.quiet import QuietHours
from web.alertwords import kind_word
from web.language import LANGUAGES, language
from web.language import gettext as _
from web.visit import Visit

MAIL_PORT = 587


@dataclass(frozen=True, slots=True)
class ChannelForm:
    """What a form of a channel begins with; `action` is where it is sent; `again`: it was sent in vain."""

    action: str
    kind: ChannelKind
    plan: Plan
    has_secret: bool = False
    kinds: tuple[str, ...] = ()
    closings: bool = True
    active: bool = True
    again: bool = False


def form_of(visit: Visit, action: str, plan: Plan, has_secret: bool = False) -> ChannelForm:
    """With what was ticked in it, when it was sent in vain."""
    again = visit.refused is not None and visit.path == action
    return ChannelForm(
        action=action,
        kind=plan.kind,
        plan=plan,
        has_secret=has_secret,
        kinds=tuple(visit.texts("kinds")) if again else plan.kinds or tuple(KINDS),
        closings=bool(visit.text("closings")) if again else plan.closings,
        active=bool(visit.text("active")) if again else plan.active,
        again=again,
    )


def empty_plan(kind: ChannelKind) -> Plan:
    return Plan(name="", kind=kind, target=Target(port=MAIL_PORT), language=language())


def plan_of(visit: Visit, kind: ChannelKind, *, active: bool) -> Plan:
    """Raises `Invalid` for what no channel can be; the rest is checked by the channels."""
    kinds = visit.texts("kinds")
    if not kinds:
        raise Invalid("Choose at least one kind of alert.")
    code = visit.text("language")
    return Plan(
        name=visit.text("name"),
        kind=kind,
        target=_target(visit, kind),
        # All of them means those that are added one day, too.
        kinds=() if set(kinds) >= KINDS.keys() else tuple(kind for kind in KINDS if kind in kinds),
        closings=bool(visit.text("closings")),
        quiet=QuietHours(visit.text("quiet_begin"), visit.text("quiet_end")),
        language=code if code in LANGUAGES else language(),
        active=active,
    )


def _target(visit: Visit, kind: ChannelKind) -> Target:
    if kind == "email":
        port = visit.text("port")
        return Target(
            host=visit.text("host"),
            port=int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else 0,
            security=visit.text("security"),
            sender=visit.text("sender"),
            receivers=visit.text("receivers"),
            user=visit.text("user"),
        )
    return Target(url=visit.text("url"), topic=visit.text("topic") if kind == "ntfy" else "")


def secret_of(visit: Visit) -> str:
    """As it was typed, without the line's end."""
    return str(visit.form.get("secret", "")).strip()


def words() -> dict[str, Any]:
    """The choices of the forms, in the visitor's language."""
    return {
        "alert_kinds": [(code, kind_word(code)) for code in KINDS],
        "securities": [
            ("starttls", _("STARTTLS (mostly port 587)")),
            ("tls", _("TLS from the start (mostly port 465)")),
            ("none", _("Neither (only within your own network)")),
        ],
    }
