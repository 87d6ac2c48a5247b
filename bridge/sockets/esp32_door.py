"""Who may come in on `/esp32`: proved by password, else nobody, and then perhaps a newcomer who waits."""

import asyncio
from collections.abc import Mapping
from typing import Any

from bridge.sockets.esp32_words import text_of, type_of
from bridge.tasks import Tasks
from gateway.core.core import Core
from gateway.core.enrolment import is_valid_id
from gateway.core.errors import GatewayError, Unavailable
from gateway.core.rights import ModuleIdentity
from gateway.core.values import Application

# Sockets of which nobody knows who they are: in all, and from one address.
MOST_STRANGERS = 500
MOST_FROM_ADDRESS = 50


class Lobby:
    """The sockets that have not proved who they are."""

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}
        self._from: dict[str, int] = {}
        self.refused = 0

    def __len__(self) -> int:
        return len(self._addresses)

    def enter(self, name: str, address: str) -> bool:
        here = self._from.get(address, 0)
        if len(self) >= MOST_STRANGERS or here >= MOST_FROM_ADDRESS:
            self.refused += 1
            return False
        self._addresses[name] = address
        self._from[address] = here + 1
        return True

    def leave(self, name: str) -> None:
        address = self._addresses.pop(name, None)
        if address is not None:
            self._from[address] -= 1
            if not self._from[address]:
                del self._from[address]


class Door:
    def __init__(self, core: Core, tasks: Tasks) -> None:
        self._core = core
        self._tasks = tasks
        self._applying: dict[str, asyncio.Event] = {}

    async def recognise(self, hello: Mapping[str, Any], address: str) -> ModuleIdentity | None:
        """Whose password this is. The shared key of a declared module becomes its token at first use.

        Raises `Unavailable` when that cannot be stored.
        """
        id, password = self._id(hello), text_of(hello, "password")
        if identity := self._core.registry.authenticate(id, password):
            return identity
        if (under_way := self._applying.get(id.lower())) is not None:
            # It was refused a moment ago, asks again, and is not written down yet.
            await under_way.wait()
            return self._core.registry.authenticate(self._id(hello), password)
        known = self._core.registry.known(id)
        if known is None or self._core.registry.digests(known).token:
            return None
        if not self._core.registry.knows_key(known, password):
            return None
        application = _application(known.type, known.id, hello, shared_key=password)
        try:
            await self._core.enrolment.register(application, address, chosen_token=password)
        except Unavailable:
            raise
        except GatewayError:
            return None
        return self._core.registry.authenticate(known.id, password)

    def apply(self, hello: Mapping[str, Any], address: str) -> None:
        """One who is not recognised becomes a newcomer, or a re-enrolment beside a known module.

        It is told nothing of that: firmware in the field has its password built in, and asks again.
        """
        id = self._id(hello)
        if not is_valid_id(id) or id.lower() in self._applying:
            return  # with another id than its own it would not find back
        code = type_of(self._core.types, hello.get("moduleType"), id)
        application = _application(code, id, hello)
        if self._tasks.start(self._register(application, address, text_of(hello, "password"))):
            self._applying[id.lower()] = asyncio.Event()

    async def _register(self, application: Application, address: str, password: str) -> None:
        try:
            await self._core.enrolment.register(application, address, chosen_token=password)
        except GatewayError:
            return  # closed, full, rejected, too many, no password to speak of: all the same from outside
        finally:
            self._applying.pop(str(application.serial).lower()).set()

    def _id(self, hello: Mapping[str, Any]) -> str:
        """The id as the registry spells it."""
        said = text_of(hello, "moduleId")
        known = self._core.registry.known(said)
        return known.id if known is not None else said


def _application(code: int, id: str, hello: Mapping[str, Any], shared_key: str | None = None) -> Application:
    told = {key: text for key in ("name", "location") if (text := text_of(hello, key))}
    version = text_of(hello, "firmware") or text_of(hello, "firmwareVersion")
    return Application(
        type=code,
        serial=id,
        hardware=text_of(hello, "hardware"),
        firmware={"serial": version} if version else {},
        information=told,
        shared_key=shared_key,
    )
