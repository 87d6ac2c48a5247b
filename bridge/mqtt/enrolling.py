"""Enrolment over MQTT: an application comes on `register/<nonce>`, the answer goes to that nonce alone."""

from collections import OrderedDict
from time import monotonic
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
KEEP_S = 60.0
MOST_KEPT = 1000
_STATUS: dict[type[GatewayError], str] = {Closed: "closed", Rejected: "rejected", Full: "full"}


class _Answer(msgspec.Struct, frozen=True):
    answer: dict[str, Any]
    address: str
    until_s: float


class Enrolling:
    """An answer is kept for a while and said again whenever that nonce listens (from the same address).

    So a device that lost its connection in between, or asks and listens by two programs, gets it too.
    """

    def __init__(self, core: Core, topics: Topics, link: Link, tasks: Tasks) -> None:
        self._core = core
        self._topics = topics
        self._link = link
        self._tasks = tasks
        self._answers: OrderedDict[str, _Answer] = OrderedDict()

    def receive(self, message: Inbound, nonce: str, stored: Stored | None) -> None:
        if not self._tasks.start(self._answer(message, nonce, stored)):
            self._reply(nonce, _refusal(TooMany("Too many register at once.", RETRY_AFTER_S)))
            self._acknowledge(stored)

    async def _answer(self, message: Inbound, nonce: str, stored: Stored | None) -> None:
        try:
            application = _application(message)
            answer = _granted(await self._core.enrolment.register(application, message.address))
        except GatewayError as error:
            answer = _refusal(error)
        self._keep(nonce, _Answer(answer, message.address, monotonic() + KEEP_S))
        self._reply(nonce, answer)
        self._acknowledge(stored)

    def _acknowledge(self, stored: Stored | None) -> None:
        if stored is not None:
            self._core.store.when_stored(stored)

    def listening(self, nonce: str, address: str) -> None:
        kept = self._answers.get(nonce)
        if kept is not None and kept.address == address and monotonic() < kept.until_s:
            self._reply(nonce, kept.answer)

    def _keep(self, nonce: str, answer: _Answer) -> None:
        self._answers[nonce] = answer
        self._answers.move_to_end(nonce)
        now_s = monotonic()
        while self._answers and (len(self._answers) > MOST_KEPT or _oldest(self._answers).until_s < now_s):
            self._answers.popitem(last=False)

    def _reply(self, nonce: str, answer: dict[str, Any]) -> None:
        self._link.publish(
            self._topics.enrolment_reply(nonce),
            msgspec.json.encode(answer),
            only_for=rights.Enrolling(nonce),
        )


def _oldest(answers: OrderedDict[str, _Answer]) -> _Answer:
    return next(iter(answers.values()))


def _application(message: Inbound) -> Application:
    if message.retain:
        raise Invalid("A registration must not be retained.")
    if len(message.payload) > MAX_APPLICATION:
        raise Invalid("A registration may have %(max_application)s bytes.", max_application=MAX_APPLICATION)
    try:
        return msgspec.json.decode(message.payload, type=Application)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Invalid("This is no registration: %(error)s.", error=error) from None


def _granted(granted: Granted) -> dict[str, Any]:
    answer: dict[str, Any] = {"status": granted.status, "id": granted.id, "token": granted.token}
    if granted.status == "pending":
        answer |= {"expires_at": granted.expires_at_ms, "retry_after": granted.retry_after_s}
    return answer


def _refusal(error: GatewayError) -> dict[str, Any]:
    retry_after_s = error.retry_after_s if isinstance(error, TooMany) else RETRY_AFTER_S
    status = _STATUS.get(type(error), "refused")
    return {"status": status, "message": str(error.message), "retry_after": retry_after_s}
