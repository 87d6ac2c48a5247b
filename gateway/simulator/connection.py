"""One MQTT session as a device has it, light enough for thousands in a process."""

import asyncio
from collections.abc import Callable
from ssl import SSLContext
from typing import Any, Self

from bridge.mqtt.packets import CONNACK, PUBACK, PUBLISH, SUBACK, Malformed, ack, publish, publish_parts
from gateway.simulator.packets import DISCONNECT_BYTES, PINGREQ_BYTES, Login, connect, subscribe, whole

ANSWER_S = 30.0
CLOSED_WITHIN_S = 5.0
# What may wait to be sent before readings that need no acknowledgement are left out.
FULL_BYTES = 64 * 1024
OPENING = 0
ANSWERS = (CONNACK, PUBACK, SUBACK)

Heard = Callable[[str, bytes], None]
Gone = Callable[[], None]


class Lost(ConnectionError):
    """The connection is gone, or the broker does not answer."""


class Refused(ConnectionError):
    """The broker does not let us in; `code` as in CONNACK."""

    def __init__(self, code: int) -> None:
        super().__init__(f"refused with code {code}")
        self.code = code


class Connection(asyncio.Protocol):
    """Made by `open`. `heard(topic, payload)` gets every message, once it is acknowledged; `gone()` is called
    when the connection was lost."""

    __slots__ = (
        "_alive", "_answers", "_gone", "_heard", "_keepalive_s", "_number", "_rest", "_timer", "_transport",
        "lost",
    )  # fmt: skip

    def __init__(self, heard: Heard, gone: Gone | None) -> None:
        self._heard = heard
        self._gone = gone
        self._transport: Any = None
        self._rest = b""
        self._number = 0
        self._answers: dict[int, asyncio.Future[int]] = {}
        self._keepalive_s = 0
        self._alive = True
        self._timer: asyncio.TimerHandle | None = None
        self.lost = False

    @classmethod
    async def open(
        cls, host: str, port: int, login: Login, heard: Heard, gone: Gone | None, tls: SSLContext | None
    ) -> Self:
        """Connect and log in; raises OSError, `Lost` or `Refused`."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(ANSWER_S):
            _, connection = await loop.create_connection(lambda: cls(heard, gone), host, port, ssl=tls)
        try:
            answer = connection._answer(OPENING)
            connection._transport.write(connect(login))
            if code := await connection._in_time(OPENING, answer):
                raise Refused(code)
        except BaseException:
            connection.drop()
            raise
        connection._keepalive_s = login.keepalive_s
        connection._timer = loop.call_later(login.keepalive_s / 2, connection._keep_alive)
        return connection

    # Asked of it

    async def subscribe(self, *filters: str) -> None:
        """QoS 1; raises `Lost`, also when the broker refuses."""
        number = self._next()
        answer = self._answer(number)
        self._transport.write(subscribe(number, list(filters)))
        if await self._in_time(number, answer) >= 0x80:
            raise Lost("a subscription was refused")

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """QoS 1: returns when it is acknowledged; raises `Lost`."""
        number = self._next()
        answer = self._answer(number)
        self._transport.write(publish(topic, payload, 1, retain, number=number))
        await self._in_time(number, answer)

    def send(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """Nobody waits for the acknowledgement. False, and not sent, when the broker takes nothing."""
        if self.lost or self._transport.get_write_buffer_size() > FULL_BYTES:
            return False
        self._transport.write(publish(topic, payload, qos, retain, number=self._next() if qos else 0))
        return True

    def close(self) -> None:
        """Say goodbye, and leave the closing to the broker.

        A socket closed with something unread in it resets the connection, and the goodbye could get lost.
        """
        if self.lost:
            return
        self._transport.write(DISCONNECT_BYTES)
        if self._transport.can_write_eof():
            self._transport.write_eof()
            asyncio.get_running_loop().call_later(CLOSED_WITHIN_S, self._transport.abort)
        else:
            self._transport.close()
        self._end()

    def drop(self) -> None:
        """As when the power goes."""
        self._transport.abort()
        self._end()

    def _next(self) -> int:
        self._number = self._number % 0xFFFF + 1
        return self._number

    def _answer(self, number: int) -> "asyncio.Future[int]":
        if self.lost:
            raise Lost("the connection is gone")
        answer = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        return answer

    async def _in_time(self, number: int, answer: "asyncio.Future[int]") -> int:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except TimeoutError:
            raise Lost("the broker does not answer") from None
        finally:
            self._answers.pop(number, None)

    # What happens to it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self.lost:
            return
        buffer, used = self._rest + data, 0
        try:
            for first, body, end in whole(buffer):
                self._packet(first, body)
                used = end
        except (Malformed, IndexError, UnicodeDecodeError):
            self._transport.abort()
        self._rest = buffer[used:]

    def _packet(self, first: int, body: bytes) -> None:
        self._alive = True
        kind = first >> 4
        if kind == PUBLISH:
            self._message(first, body)
        elif kind in ANSWERS:
            self._answered(kind, body)

    def _message(self, first: int, body: bytes) -> None:
        topic, number, payload = publish_parts(first, body)
        if number:
            self._transport.write(ack(PUBACK, number))
        self._heard(topic.decode(), payload)

    def _answered(self, kind: int, body: bytes) -> None:
        number = OPENING if kind == CONNACK else int.from_bytes(body[:2])
        answer = self._answers.get(number)
        if answer is not None and not answer.done():
            answer.set_result(0 if kind == PUBACK else body[-1])

    def _keep_alive(self) -> None:
        if not self._alive:
            self._transport.abort()
            return
        self._alive = False
        self._transport.write(PINGREQ_BYTES)
        self._timer = asyncio.get_running_loop().call_later(self._keepalive_s / 2, self._keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        told = self.lost
        self._end()
        if self._gone is not None and not told:
            self._gone()

    def _end(self) -> None:
        self.lost = True
        if self._timer is not None:
            self._timer.cancel()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Lost("the connection is gone"))
