"""What every page and call is served from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jinja2 import Environment

from firmware.house import Firmware
from gateway.core import clock
from gateway.core.backups import Backups, NoBackups
from gateway.core.certificates import Certificates, NoCertificates
from gateway.core.core import Core
from gateway.core.rights import Path
from web.carried import CarriedForms
from web.csrf import VisitorTokens
from web.kept import KeptAnswers
from web.notices import Notices
from web.pace import Pace
from web.render import environment
from web.shelf import Result, Shelf
from web.streaming import Places

# Results lie until their page is left for good; secrets only until they are fetched.
RESULTS, RESULTS_S = 200, 3600.0
HANDOUTS, HANDOUTS_S = 10, 600.0


@dataclass(frozen=True, slots=True)
class Roof:
    """What the roof lends to pages; alone, the web has none of it. `mqtt_counts`: the link's figures;
    `topic`: how a path is called over MQTT; `device_limits`: what a module may send, by name."""

    mqtt_counts: Callable[[], Mapping[str, int]] = dict
    certificates: Certificates = field(default_factory=NoCertificates)
    backups: Backups = field(default_factory=NoBackups)
    topic: Callable[[Path], str] = "/".join
    device_limits: Callable[[], Mapping[str, float]] = dict


@dataclass(frozen=True, slots=True)
class Site:
    core: Core
    firmware: Firmware
    templates: Environment
    visitors: VisitorTokens
    kept: KeptAnswers
    pace: Pace
    notices: Notices = field(default_factory=Notices)
    carried: CarriedForms = field(default_factory=CarriedForms)
    downloads: Places = field(default_factory=Places)
    results: Shelf[Result] = field(default_factory=lambda: Shelf(RESULTS, RESULTS_S))
    handouts: Shelf[str] = field(default_factory=lambda: Shelf(HANDOUTS, HANDOUTS_S))
    roof: Roof = field(default_factory=Roof)
    started_ms: int = field(default_factory=clock.now_ms)

    @property
    def public_url(self) -> str:
        return self.core.settings.public_url


def make_site(core: Core, firmware: Firmware, roof: Roof | None = None) -> Site:
    key, settings = core.settings.signing_key(), core.settings
    return Site(
        core, firmware, environment(), VisitorTokens(key.encode()), KeptAnswers(core.store, key),
        Pace(core.choices, rate_limits=settings.rate_limits), roof=roof or Roof(),
    )  # fmt: skip
