"""The devices: one process that connects many MQTT sessions and publishes as fast as asked, or as it can."""

import asyncio
import random
import time
from collections import deque
from typing import Any

from bench import mqtt
from bench.timing import beats, reached, spread
from bench.worker import serve

CHUNK = 200
WINDOW = 100
CONNECTING_AT_ONCE = 50
END_MARK = "end"
# Of a mixed load's messages one in so many is acknowledged, and one is an event that a program hears.
ONE_IN = 20
ON, OFF = b"online", b"offline"


class Devices:
    """Device i logs in as `names[i]`, subscribes to its own `down/#` and publishes its `up/telemetry`."""

    def __init__(self) -> None:
        self.sessions: list[mqtt.Connection] = []
        self._watcher: mqtt.Connection | None = None

    async def set_up(self, port: int, names: list[list[str]], watch_end: bool, births: bool) -> bool:
        """`watch_end`: PINGREQ may be answered out of turn there, so a subscriber awaits a last message.

        `births`: devices say that they are there when they come.
        """
        self.port, self.names, self.births = port, names, births
        if watch_end:
            self._watcher = await self._open("watcher", "", f"gw/1/+/up/{END_MARK}")
        return True

    async def connect(self, count: int) -> float:
        """Have so many devices connected and subscribed; seconds it took."""
        begin = time.monotonic()
        for session in self.sessions[count:]:
            session.write(mqtt.DISCONNECT)
            session.transport.close()
        del self.sessions[count:]
        while len(self.sessions) < count:
            at = len(self.sessions)
            some = self.names[at : min(at + CONNECTING_AT_ONCE, count)]
            self.sessions += await asyncio.gather(*(self._device(name, token) for name, token in some))
        return time.monotonic() - begin

    async def _device(self, name: str, token: str) -> mqtt.Connection:
        """As a real one does it: last will, subscription, `online` retained, hello."""
        up = f"gw/1/{name}/up"
        session = await self._open(name, token, f"gw/1/{name}/down/#", will_topic=f"{up}/availability")
        if not self.births:
            return session
        session.write(mqtt.publish(f"{up}/availability", b"online", qos=1, retain=True, packet_id=1))
        session.write(mqtt.publish(f"{up}/register", b"", qos=1, packet_id=2))
        await session.expect(mqtt.PUBACK, 2)
        return session

    async def _open(self, name: str, token: str, topic_filter: str, will_topic: str = "") -> mqtt.Connection:
        loop = asyncio.get_running_loop()
        _, session = await loop.create_connection(mqtt.Connection, "127.0.0.1", self.port)
        session.write(mqtt.connect(name, token, will_topic))
        await session.expect(mqtt.CONNACK, 1)
        if session.refused:
            raise ConnectionError(f"{name} was refused with code {session.refused}")
        session.write(mqtt.subscribe(topic_filter))
        await session.expect(mqtt.SUBACK, 1)
        return session

    async def flood(self, count: int, publishers: int, qos: int) -> dict[str, float]:
        """As fast as it goes until all is acknowledged (QoS 1) and, by what came after it, processed."""
        each = count // publishers
        send = self._flood_acknowledged if qos else self._flood_unacknowledged
        begin = time.monotonic()
        await asyncio.gather(*(send(index, each) for index in range(publishers)))
        await self._processed(publishers)
        seconds = time.monotonic() - begin
        return {"messages": each * publishers, "seconds": seconds, "rate": each * publishers / seconds}

    async def _processed(self, publishers: int) -> None:
        """Until the last words of all publishers are through: PINGREQ answered, or the end mark arrived."""
        if self._watcher:
            ends = self._watcher.arrived[mqtt.PUBLISH]
            for session, (name, _) in zip(self.sessions[:publishers], self.names, strict=False):
                session.write(mqtt.publish(f"gw/1/{name}/up/{END_MARK}", b""))
            await self._watcher.expect(mqtt.PUBLISH, ends + publishers)
        else:
            await asyncio.gather(*(self._pong(session) for session in self.sessions[:publishers]))

    async def _pong(self, session: mqtt.Connection) -> None:
        session.write(mqtt.PINGREQ)
        await session.expect(mqtt.PINGRESP, session.arrived[mqtt.PINGRESP] + 1)

    def _head(self, index: int, qos: int = 0) -> bytes:
        topic = mqtt.text(f"gw/1/{self.names[index][0]}/up/telemetry")
        length = len(topic) + 2 * qos + len(mqtt.reading(mqtt.STAMP_FROM))
        return mqtt.packet(0x30 | qos << 1, bytes(length))[:-length] + topic

    async def _flood_unacknowledged(self, index: int, count: int) -> None:
        session, head = self.sessions[index], self._head(index)
        packets = [head + mqtt.reading(mqtt.STAMP_FROM + number) for number in range(CHUNK)]
        for left in range(count, 0, -CHUNK):
            session.write(b"".join(packets[:left]))
            await session.drain()

    async def _flood_acknowledged(self, index: int, count: int) -> None:
        """At most WINDOW messages are on their way; each acknowledgement lets the next one go."""
        session, head = self.sessions[index], self._head(index, qos=1)
        values = [mqtt.reading(mqtt.STAMP_FROM + number) for number in range(2 * WINDOW)]
        packets = [head + number.to_bytes(2) + value for number, value in enumerate(values, 1)]
        sent = 0

        def more(acks: int) -> None:
            nonlocal sent
            upto = min(sent + acks, count)
            if upto > sent:
                session.write(b"".join(packets[number % len(packets)] for number in range(sent, upto)))
            sent = upto

        session.on_puback = more
        goal = session.arrived[mqtt.PUBACK] + count
        more(WINDOW)
        await session.expect(mqtt.PUBACK, goal)
        session.on_puback = None

    async def steady(self, devices: int, rate: float, seconds: float, base: float) -> dict[str, Any]:
        """`rate` readings a second in all, each device in turn; what each of them said last, by name."""
        heads = [self._head(index) for index in range(devices)]
        last: dict[str, int] = {}
        begin = time.monotonic()
        async for number in beats(rate, seconds):
            index = number % devices
            last[self.names[index][0]] = now = mqtt.stamp(base)
            self.sessions[index].write(heads[index] + mqtt.reading(now))
        return {"messages": int(rate * seconds), "seconds": time.monotonic() - begin, "last": last}

    async def listen(self, name: str, token: str) -> bool:
        """A program with this account hears the devices' events."""
        self._reader = await self._open(name, token, "gw/1/+/out/event/probe")
        return True

    async def mixed(self, rate: float, seconds: float) -> dict[str, Any]:
        """Readings at QoS 0 and some at QoS 1, and events: delays to PUBACK and to the program, in ms."""
        base, acks, events = time.monotonic(), [], []
        self._reader.on_publish = lambda event: events.append(_since(base, int(event[8:14])))
        begun = [_Acknowledged(session, acks) for session in self.sessions]
        heads = [(self._head(index), self._head(index, qos=1)) for index in range(len(self.sessions))]
        probes = [f"gw/1/{name}/up/event/probe" for name, _ in self.names]
        async for number in beats(rate, seconds):
            index, now = random.randrange(len(self.sessions)), mqtt.stamp(base)
            if number % ONE_IN == 0:
                begun[index].send(heads[index][1], mqtt.reading(now))
            elif number % ONE_IN == ONE_IN // 2:
                self.sessions[index].write(mqtt.publish(probes[index], b'{"sent":%06d}' % now))
            else:
                self.sessions[index].write(heads[index][0] + mqtt.reading(now))
        took_s, each = time.monotonic() - base, int(rate * seconds / ONE_IN)
        await reached(lambda: min(len(acks), len(events)), each, timeout_s=10)
        return {
            "rate": int(rate * seconds) / took_s, "missing": 2 * each - len(acks) - len(events),
            "puback": spread(acks), "event": spread(events),
        }  # fmt: skip

    async def flips(self, devices: int, rate: float, seconds: float) -> float:
        """Devices say in turn that they are gone, and then that they are there again; seconds it took."""
        begin = time.monotonic()
        async for number in beats(rate, seconds):
            word = ON if number // devices % 2 else OFF
            name = self.names[number % devices][0]
            packet = mqtt.publish(f"gw/1/{name}/up/availability", word, qos=1, retain=True, packet_id=1)
            self.sessions[number % devices].write(packet)
        return time.monotonic() - begin

    async def ping(self, count: int) -> list[float]:
        """Round trips of PINGREQ on sessions picked at random, in milliseconds."""
        trips = []
        for _ in range(count):
            begin = time.monotonic()
            await self._pong(random.choice(self.sessions))
            trips.append((time.monotonic() - begin) * 1000)
            await asyncio.sleep(0.002)
        return trips

    async def lost(self) -> int:
        """How many sessions the server has closed."""
        return sum(session.lost for session in self.sessions)


class _Acknowledged:
    """A session's readings at QoS 1: each PUBACK ends the oldest; the delays go to `delays`, in ms."""

    def __init__(self, session: mqtt.Connection, delays: list[float]) -> None:
        self._session, self._delays = session, delays
        self._sent_s: deque[float] = deque()
        self._id = 0
        session.on_puback = self._acknowledged

    def send(self, head: bytes, reading: bytes) -> None:
        self._id = self._id % 0xFFFF + 1
        self._sent_s.append(time.monotonic())
        self._session.write(head + self._id.to_bytes(2) + reading)

    def _acknowledged(self, count: int) -> None:
        now_s = time.monotonic()
        self._delays += [(now_s - self._sent_s.popleft()) * 1000 for _ in range(count)]


def _since(base: float, sent: int) -> float:
    return (mqtt.stamp(base) - sent) / mqtt.STAMPS_A_MS


if __name__ == "__main__":
    devices = Devices()
    verbs = (
        devices.set_up, devices.connect, devices.flood, devices.steady, devices.listen, devices.mixed,
        devices.flips, devices.ping, devices.lost,
    )  # fmt: skip
    serve({verb.__name__: verb for verb in verbs})
