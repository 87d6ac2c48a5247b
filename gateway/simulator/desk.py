"""Enrolment: devices of this process ask one after another, and all wait as long as the gateway says."""

import asyncio
import secrets
from typing import Any

import msgspec

from gateway.simulator.connection import ANSWER_S, Lost
from gateway.simulator.packets import Login
from gateway.simulator.place import Place
from gateway.simulator.tokens import Credential

GRANTED = frozenset({"pending", "approved"})
# The gateway means this one device, not the crowd.
PERSONAL = frozenset({"rejected"})
RETRY_AFTER_S = 60.0


class Turned(Exception):
    """Turned away: try again after so many seconds."""

    def __init__(self, status: str, retry_after_s: float) -> None:
        super().__init__(status)
        self.status = status
        self.retry_after_s = retry_after_s


class Desk:
    def __init__(self, place: Place) -> None:
        self._place = place
        self._turn = asyncio.Lock()
        self._open_at_s = 0.0

    async def register(self, application: dict[str, Any]) -> Credential:
        """Ask, and get a token; raises `Turned`, or what a connection raises."""
        async with self._turn:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(max(0.0, self._open_at_s - loop.time()))
            answer = await self._ask(application)
            status = str(answer.get("status"))
            if status in GRANTED:
                return Credential(str(answer["id"]), str(answer["token"]), status == "approved")
            retry_after_s = float(answer.get("retry_after") or RETRY_AFTER_S)
            if status not in PERSONAL:
                self._open_at_s = loop.time() + retry_after_s
            raise Turned(status, retry_after_s)

    async def _ask(self, application: dict[str, Any]) -> dict[str, Any]:
        # Whoever knows the nonce may hear the answer, so the dice must not make it.
        nonce = "sim-" + secrets.token_hex(12)
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def heard(topic: str, payload: bytes) -> None:
            if not answered.done():
                answered.set_result(payload)

        topics = self._place.topics
        connection = await self._place.open(Login(nonce), heard)
        try:
            await connection.subscribe(topics.enrolment_reply(nonce))
            await connection.publish(topics.topic(("register", nonce)), msgspec.json.encode(application))
            async with asyncio.timeout(ANSWER_S):
                return msgspec.json.decode(await answered, type=dict[str, Any])
        except (TimeoutError, msgspec.DecodeError, msgspec.ValidationError):
            raise Lost("no answer to a registration") from None
        finally:
            connection.close()
