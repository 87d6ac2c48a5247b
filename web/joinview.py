"""The state of the front door, as the pages' card shows it."""

from dataclasses import dataclass

from gateway.core import clock
from gateway.core.core import Core
from web.language import gettext as _
from web.views import type_name


@dataclass(frozen=True, slots=True)
class JoinView:
    mode: str
    open: bool
    until_ms: int | None
    quota_left: int | None
    type_name: str


def join_view(core: Core) -> JoinView:
    join = core.joining.join
    code = join.type
    is_open = join.is_open(clock.now_ms(), 0 if code is None else code)
    name = "" if code is None else type_name(core, code)
    return JoinView(join.mode, is_open, join.until_ms, join.quota_left, name)


def join_types(core: Core) -> list[tuple[str, str]]:
    """The choices of a window's type filter."""
    return [("", _("Any type")), *((str(known.code), _(known.name)) for known in core.types.all())]
