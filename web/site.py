"""What every page and call is served from."""

from dataclasses import dataclass, field

from jinja2 import Environment

from firmware.house import Firmware
from gateway.core.core import Core
from web.csrf import VisitorTokens
from web.notices import Notices
from web.render import environment
from web.streaming import Places


@dataclass(frozen=True, slots=True)
class Site:
    core: Core
    firmware: Firmware
    templates: Environment
    visitors: VisitorTokens
    notices: Notices = field(default_factory=Notices)
    downloads: Places = field(default_factory=Places)

    @property
    def public_url(self) -> str:
        return self.core.settings.public_url


def make_site(core: Core, firmware: Firmware) -> Site:
    return Site(core, firmware, environment(), VisitorTokens(core.settings.signing_key().encode()))
