"""Enrolment over MQTT: an application comes on `register/<nonce>`, the answer goes to that nonce alone."""

from typing import Any

import msgspec

from bridge.mqtt.link import Inbound, Link, Stored
from bridge.tasks import Tasks
from bridge.topics import Topics
from gateway.core import rights
from gateway.core.core import Core
from gateway.core.errors import Closed, Full, GatewayError, Invalid, Rejected, TooMany
from gateway.core.values import Application, Granted

MAX_APPLICATION = 8192
RETRY_AFTER_S = 60
_STATUS: dict[type[GatewayError], str] = {Closed: "closed", Rejected: "rejected", Full: "full"}


class Enrolling:
    def __init__(self, core: Core, topics: Topics, link: Link, tasks: Tasks) -> None:
        self._core = core
        self._topics = topics
        self._link = link
        self._tasks = tasks
        self._addresses: dict[str, str] = {}

    def receive(self, message: Inbound, nonce: str, stored: Stored | None) -> None:
        started = self._tasks.start(self._answer(message, nonce, stored))
        if not started:
            self._reply(nonce, _refusal(TooMany("Too many register at once.", RETRY_AFTER_S)))

    async def _answer(self, message: Inbound, nonce: str, stored: Stored | None) -> None:
        try:
            application = _application(message)
            answer = _granted(await self._core.enrolment.register(application, message.address))
        except GatewayError as error:
            answer = _refusal(error)
        self._reply(nonce, answer)
        if stored is not None:
            self._core.store.when_stored(stored)

    def _reply(self, nonce: str, answer: dict[str, Any]) -> None:
        self._link.publish(
            self._topics.enrolment_reply(nonce),
            msgspec.json.encode(answer),
            only_for=rights.Enrolling(nonce),
        )


def _application(message: Inbound) -> Application:
    if message.retain:
        raise Invalid("A registration must not be retained.")
    if len(message.payload) > MAX_APPLICATION:
        raise Invalid(f"A registration may have {MAX_APPLICATION} bytes.")
    try:
        return msgspec.json.decode(message.payload, type=Application)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Invalid(f"This is no registration: {error}.") from None


def _granted(granted: Granted) -> dict[str, Any]:
    answer: dict[str, Any] = {"status": granted.status, "id": granted.id, "token": granted.token}
    if granted.status == "pending":
        answer |= {"expires_at": granted.expires_at_ms, "retry_after": granted.retry_after_s}
    return answer


def _refusal(error: GatewayError) -> dict[str, Any]:
    retry_after_s = error.retry_after_s if isinstance(error, TooMany) else RETRY_AFTER_S
    status = _STATUS.get(type(error), "refused")
    return {"status": status, "message": error.message, "retry_after": retry_after_s}
