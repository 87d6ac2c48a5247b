"""The last hour as small plots, each with its words."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.pulse import Sample
from web import sparkline, wording
from web.language import gettext as _


@dataclass(frozen=True, slots=True)
class Plot:
    """`alternative` says what the line shows, for those who do not see it."""

    title: str
    figure: str
    path: str
    alternative: str


def plots(samples: Sequence[Sample]) -> list[Plot]:
    return [
        _plot(_("Messages a second"), [sample.messages for sample in samples]),
        _plot(_("Readings a second"), [sample.readings for sample in samples]),
        _plot(_("Modules online"), [float(sample.online) for sample in samples]),
    ]


def _plot(title: str, values: list[float]) -> Plot:
    if not values:
        return Plot(title, "-", "", _("%(title)s: not measured yet", title=title))
    alternative = _(
        "%(title)s over the last hour: %(last)s at last, %(least)s at least, %(most)s at most",
        title=title, last=_figure(values[-1]), least=_figure(min(values)), most=_figure(max(values)),
    )  # fmt: skip
    return Plot(title, _figure(values[-1]), sparkline.path(values), alternative)


def _figure(value: float) -> str:
    return wording.fixed(value, 0 if value >= 10 or value == int(value) else 1)
