"""The whole gateway on free ports, devices that speak raw MQTT to it, and a web server for browsers."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress

from gateway.app import open_gateway
from gateway.settings import Settings
from tests.bridge.mqtt import client as mqtt

PATIENCE_S = 20


@asynccontextmanager
async def open_house(folder, **settings):
    plain = {"mqtt_host": "127.0.0.1", "mqtt_port": 0, "secret_key": "k" * 40, "rate_limits": False}
    async with open_gateway(Settings(data=folder, **(plain | settings))) as gateway:
        yield gateway


class Device:
    """Acknowledges everything and keeps what it was told, as (topic below the root, decoded payload)."""

    def __init__(self, wire):
        self.wire = wire
        self.told = asyncio.Queue()
        self.acks = asyncio.Queue()
        self.ended = asyncio.Event()
        self._number = 0
        self._reading = asyncio.create_task(self._read())

    async def _read(self):
        while (packet := await self.wire.read(within_s=1000)) is not None:
            if packet.kind == mqtt.PUBLISH:
                message = mqtt.message(packet)
                if message.qos:
                    self.wire.send(mqtt.ack(mqtt.PUBACK, message.number))
                payload = message.payload.decode()
                with suppress(ValueError):
                    payload = json.loads(payload)
                self.told.put_nowait((message.topic.removeprefix("gw/1/"), payload))
            else:
                self.acks.put_nowait(packet)
        self.ended.set()

    async def _ack(self):
        return await asyncio.wait_for(self.acks.get(), PATIENCE_S)

    async def subscribe(self, *topics):
        """The codes of the SUBACK: 1 granted, 128 refused."""
        self._number += 1
        self.wire.send(mqtt.subscribe(self._number, *[(f"gw/1/{topic}", 1) for topic in topics]))
        packet = await self._ack()
        assert packet.kind == mqtt.SUBACK
        return list(packet.body[2:])

    async def say(self, topic, payload=b"", **options):
        """Publish with QoS 1; returns once it is acknowledged."""
        self._number += 1
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.wire.send(mqtt.publish(f"gw/1/{topic}", data, 1, self._number, **options))
        packet = await self._ack()
        assert (packet.kind, packet.number) == (mqtt.PUBACK, self._number)

    async def hear(self):
        return await asyncio.wait_for(self.told.get(), PATIENCE_S)

    async def heard_nothing(self):
        """A ping goes round; nothing else came before its answer."""
        self.wire.send(mqtt.PING)
        assert (await self._ack()).kind == mqtt.PINGRESP
        return self.told.empty()

    async def cut_off(self):
        await asyncio.wait_for(self.ended.wait(), PATIENCE_S)
        return True

    async def close(self):
        self.wire.writer.close()
        self._reading.cancel()
        await asyncio.wait([self._reading])


@asynccontextmanager
async def device(house, client_id, token=None, user=None, **options):
    proof = {} if token is None else {"user": user or client_id, "password": token}
    async with mqtt.client(house.link.ports[0], client_id, **proof, **options) as wire:
        one = Device(wire)
        try:
            yield one
        finally:
            await one.close()


async def enrol(house, serial="MC-1", nonce="nonce-1234", **more):
    async with device(house, nonce) as stranger:
        assert await stranger.subscribe(f"register/{nonce}/reply") == [1]
        await stranger.say(f"register/{nonce}", {"type": 7, "serial": serial} | more)
        topic, answer = await stranger.hear()
        assert topic == f"register/{nonce}/reply"
        return answer


async def until(true):
    await mqtt.until(true, PATIENCE_S)
