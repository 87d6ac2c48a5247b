"""`passerelle run --demo`: simulated modules, let in beforehand, and somebody to look at them."""

import secrets
import signal
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge.topics import Topics
from gateway.app import Gateway
from gateway.core.core import Core
from gateway.core.rights import Person, Role
from gateway.duties import Duties
from gateway.settings import EVERY_INTERFACE, Settings
from gateway.simulator.fleet import Fleet, Member
from gateway.simulator.place import Place
from gateway.simulator.profiles import Profile
from gateway.simulator.tokens import Credential, Tokens

USERNAME = "demo"
BY = Person(0, USERNAME, Role.ADMIN)
PROFILE = Profile("demo", interval_s=2.0, qos=1)
TOKENS = "demo-modules.json"
LOOPBACK = {EVERY_INTERFACE: "127.0.0.1", "": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class Furnishing:
    serial: str
    type: int
    name: str
    location: str


HOUSE = (
    Furnishing("DEMO-0001-WX", 8, "Roof weather", "Roof"),
    Furnishing("DEMO-0002-WX", 8, "Garden weather", "Garden"),
    Furnishing("DEMO-0003-GEN", 7, "Greenhouse probe", "Garden"),
    Furnishing("DEMO-0004-GEN", 7, "Workshop door", "Workshop"),
    Furnishing("DEMO-0005-LED", 0, "Entrance strip", "Entrance"),
    Furnishing("DEMO-0006-LED", 0, "Tunnel strip", "Tunnel"),
    Furnishing("DEMO-0007-LFX", 3, "Platform light", "Station"),
    Furnishing("DEMO-0008-STN", 1, "Main station", "Station"),
    Furnishing("DEMO-0009-ST", 2, "Depot switch", "Depot"),
    Furnishing("DEMO-0010-LT", 4, "Launch", "Launch hall"),
    Furnishing("DEMO-0011-SM", 5, "Fog machine", "Tunnel"),
    Furnishing("DEMO-0012-AP", 6, "Platform speaker", "Station"),
)


class Demo:
    """`settings` to run with, `beside` to run beside the gateway, and `lines` to print once it is there."""

    def __init__(self, settings: Settings, *, passing: bool) -> None:
        self.settings = settings
        self.lines: list[str] = []
        self._passing = passing

    @asynccontextmanager
    async def beside(self, gateway: Gateway) -> AsyncIterator[None]:
        core = gateway.core
        path = self.settings.data / TOKENS
        is_ours = path.exists()
        tokens = Tokens(path)
        tokens.load()
        await furnish(core, tokens)
        self.lines[:] = [self._where(), await account(core, is_ours)]
        crew = [Member(thing.serial, core.types.get(thing.type)) for thing in HOUSE]
        async with Fleet(crew, PROFILE, place(self.settings, gateway.link.ports[0]), tokens) as fleet:
            async with Duties() as duties:
                duties.start(fleet.until_one_fails(), "simulated modules")
                yield

    def _where(self) -> str:
        until = "; they are gone when this stops. Set PASSERELLE_DATA to keep them" if self._passing else ""
        return f"This is a demo: {len(HOUSE)} simulated modules, all data in {self.settings.data}{until}."


@contextmanager
def demonstration(settings: Settings) -> Iterator[Demo]:
    """A demo on data that somebody named, or else on data that pass with it."""
    if "data" in settings.model_fields_set:
        yield Demo(settings, passing=False)
        return
    # The server gives the signal on after its own end; only as an exception does it let us tidy up.
    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryDirectory(prefix="passerelle-demo-", ignore_cleanup_errors=True) as folder:
        yield Demo(settings.model_copy(update={"data": Path(folder), "database_url": ""}), passing=True)


def _leave(number: int, _: object) -> None:
    raise SystemExit(128 + number)


async def furnish(core: Core, tokens: Tokens) -> None:
    """Declare what is missing, so that nothing is let in but these, and have a token for each."""
    new = [thing for thing in HOUSE if core.registry.known(thing.serial) is None]
    entries = [
        {"serial": thing.serial, "type": thing.type, "name": thing.name, "location": thing.location}
        for thing in new
    ]
    for module, token in await core.decisions.declare(entries, USERNAME, with_token=True):
        tokens.keep(module.id, Credential(module.id, token, approved=True))
    for thing in HOUSE:
        module = core.registry.get(thing.serial)
        if tokens.get(thing.serial) is None and module.life == "approved":
            token = await core.registry.rotate_token(module.id, BY)
            tokens.keep(thing.serial, Credential(module.id, token, approved=True))
    tokens.save()


async def account(core: Core, is_ours: bool) -> str:
    """An admin to log in as, with a password of this start; the line that tells it."""
    people = core.accounts.people
    user, password = people.named(USERNAME), secrets.token_urlsafe(12)
    if user is None:
        await people.add(USERNAME, password, Role.ADMIN, USERNAME)
    elif is_ours and user.role is Role.ADMIN and user.active:
        await people.set_password(user.id, password, USERNAME)
    else:
        return f"There is a user {USERNAME!r} already, so log in as somebody you know."
    return f"Log in as {USERNAME} with the password {password} (a new one at every start)."


def place(settings: Settings, port: int) -> Place:
    host = LOOPBACK.get(settings.mqtt_host, settings.mqtt_host)
    return Place(host, port, Topics(settings.topic_root), _tls(settings))


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """Trust the gateway's own certificate, whatever name it was made for."""
    if settings.tls_mode == "off":
        return None
    own = settings.data / "tls" / "ca.pem"
    context = ssl.create_default_context(cafile=own if settings.tls_mode == "own" else settings.tls_cert)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
