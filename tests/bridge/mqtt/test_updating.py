"""Updates over real MQTT: offers, words, parts of images, and who is told nothing."""

import asyncio
import hmac
import json
import os
import random
import time
import zlib
from hashlib import sha256

import pytest

from bridge.mqtt.limits import Limits
from bridge.mqtt.updating import OFFER_GOOD_MS
from firmware.facts import Facts
from firmware.probing import PROBE
from gateway.core.events import FirmwareReported
from tests.bridge.house import PATIENCE_S, Device, open_house, until
from tests.bridge.mqtt import client as mqtt
from tests.gateway.core.heart import ADMIN, GENERIC, TECHNICIAN, application, approved, heard

pytestmark = pytest.mark.anyio
DATA = random.Random(4).randbytes(50_001)


class Board(Device):
    """Keeps parts of images apart, as bytes by job and offset."""

    def __init__(self, wire, id):
        self.id, self.parts = id, asyncio.Queue()
        super().__init__(wire)

    async def _read(self):
        while (packet := await self.wire.read(within_s=1000)) is not None:
            if packet.kind != mqtt.PUBLISH:
                self.acks.put_nowait(packet)
                continue
            message = mqtt.message(packet)
            if message.qos:
                self.wire.send(mqtt.ack(mqtt.PUBACK, message.number))
            topic = message.topic.removeprefix(f"gw/1/{self.id}/")
            if topic.startswith("down/chunk/"):
                self.parts.put_nowait((topic, message.payload, message.qos))
            else:
                self.told.put_nowait((topic, json.loads(message.payload), message.retain))
        self.ended.set()

    async def listen(self):
        assert await self.subscribe(f"{self.id}/down/#") == [1]

    async def offer(self):
        """The next thing it hears of firmware."""
        while True:
            topic, said, retain = await self.hear()
            if topic == "down/firmware":
                assert not retain
                return said

    def ask(self, job, offset, length=1024):
        """Without waiting for anything, as a board does."""
        asked = {"job": job, "offset": offset, "length": length}
        self.wire.send(mqtt.publish(f"gw/1/{self.id}/up/chunk", json.dumps(asked).encode()))

    async def part(self, job, offset, length=1024):
        self.ask(job, offset, length)
        return await self.told_part(job, offset)

    async def told_part(self, job, offset):
        topic, payload, qos = await asyncio.wait_for(self.parts.get(), PATIENCE_S)
        assert (topic, qos) == (f"down/chunk/{job}/{offset}", 0)
        data = payload[4:]
        assert int.from_bytes(payload[:4], "big") == zlib.crc32(data)
        return data

    async def fetch(self, job, start=0, length=1024, upto=2**40):
        got = b""
        while start + len(got) < upto and (data := await self.part(job, start + len(got), length)):
            got += data
        return got

    async def word(self, job, state, **more):
        await self.say(f"{self.id}/up/firmware", {"job": job, "state": state} | more)


class Boards:
    def __init__(self, house):
        self.house = house

    async def image(self, serial="app-2", data=DATA, **more):
        async with self.house.firmware.images.receiving() as upload:
            await upload.write(data)
            facts = Facts(serial=serial, version="2", type=GENERIC, **more)
            return await self.house.firmware.images.add(upload, facts, ADMIN)

    async def assigned(self, image, serial="MC-1"):
        """Its token and the job."""
        _, token = await approved(self.house.core, serial)
        return token, await self.house.firmware.assignments.assign(serial, image.id, ADMIN)

    def job(self, serial="MC-1"):
        return self.house.firmware.ledger.latest(self.house.core.registry.get(serial).number)


def board(house, id, token, **options):
    return _Opened(house, id, token, options)


class _Opened:
    def __init__(self, house, id, token, options):
        self._client = mqtt.client(house.link.ports[0], id, user=id, password=token, **options)
        self._id = id

    async def __aenter__(self):
        self._board = Board(await self._client.__aenter__(), self._id)
        return self._board

    async def __aexit__(self, *error):
        await self._board.close()
        await self._client.__aexit__(*error)


@pytest.fixture
async def house(tmp_path):
    async with open_house(tmp_path, public_url="http://192.0.2.7:8080") as one:
        yield one


@pytest.fixture
def boards(house):
    return Boards(house)


async def test_the_offer(house, boards):
    image = await boards.image(hardware=("rev-b", "rev-a"))
    await house.core.registry.change(
        (await approved(house.core))[0], TECHNICIAN, "module.edit", hardware="rev-a"
    )
    token = await house.core.registry.rotate_token("MC-1", ADMIN)
    job = await house.firmware.assignments.assign("MC-1", image.id, ADMIN)
    async with board(house, "MC-1", token) as one:
        assert one.told.empty()
        await one.listen()
        offer = await one.offer()
        issued = offer["issued"]
        assert abs(issued - time.time() * 1000) < 60_000
        said = f"passerelle offer 1\n{job.id}\n{image.digest}\n{len(DATA)}\n2\n{issued}\n".encode()
        assert offer.pop("hmac") == hmac.new(sha256(token.encode()).digest(), said, sha256).hexdigest()
        assert offer.pop("url").startswith(f"http://192.0.2.7:8080/fw/{job.id}?t=")
        assert sorted(offer.pop("hardware")) == ["rev-a", "rev-b"]
        assert offer.pop("probe")["url"] == "http://192.0.2.7:8080/fw/probe"
        assert offer == {
            "job": job.id, "serial": "app-2", "version": "2", "digest": "sha256:" + sha256(DATA).hexdigest(),
            "size": len(DATA), "signature": image.signature, "chunk_max": 4096, "type": GENERIC,
            "issued": issued,
        }  # fmt: skip
        assert boards.job().state == "offered"


async def test_nobody_is_offered_anything_who_does_not_listen_for_it(house, boards):
    token, job = await boards.assigned(await boards.image())
    async with board(house, "MC-1", token) as one:
        assert await one.subscribe("MC-1/down/command", "MC-1/down/registered") == [1, 1]
        await one.say("MC-1/up/register")
        assert (await one.hear())[0] == "down/registered"
        assert await one.heard_nothing()
        assert boards.job().state == "assigned"
        # As soon as it does, it is.
        assert await one.subscribe("MC-1/down/firmware") == [1]
        assert (await one.offer())["job"] == job.id


async def test_an_offer_that_lay_about_for_long_is_not_delivered(house, boards, monkeypatch):
    """A session that stays has it in flight when the module goes, unacknowledged."""
    token, job = await boards.assigned(await boards.image())
    port, proof = house.link.ports[0], {"user": "MC-1", "password": token, "clean": False}
    async with mqtt.client(port, "MC-1", **proof) as wire:
        wire.send(mqtt.subscribe(1, ("gw/1/MC-1/down/#", 1)))
        assert (await wire.read()).kind == mqtt.SUBACK
        first = await wire.message()
        assert json.loads(first.payload)["job"] == job.id
        wire.cut()
        await until(lambda: not house.core.presence.of("MC-1").session)
    await house.firmware.assignments.cancel(job.id, TECHNICIAN)
    async with mqtt.client(port, "MC-1", present=True, **proof) as wire:
        again = await wire.message()
        assert (again.dup, json.loads(again.payload)["job"]) == (True, job.id)
        wire.cut()
        await until(lambda: not house.core.presence.of("MC-1").session)
    now_ms = int(time.time() * 1000)
    monkeypatch.setattr("bridge.mqtt.message.now_ms", lambda: now_ms + OFFER_GOOD_MS + 60_000)
    async with mqtt.client(port, "MC-1", present=True, **proof) as wire:
        assert await wire.quiet()


async def test_an_offer_is_for_the_module_alone(house, boards):
    token, _ = await boards.assigned(await boards.image())
    _, others = await approved(house.core, "MC-2")
    async with board(house, "MC-2", others) as other, board(house, "MC-1", token) as one:
        assert await other.subscribe("MC-1/down/firmware", "+/down/#", "MC-1/down/chunk/+/+") == [128] * 3
        await other.listen()
        await one.listen()
        job = (await one.offer())["job"]
        assert await other.heard_nothing()
        # Nor does it get parts of it.
        before = house.firmware.offers.refused["not its job"]
        other.ask(job, 0)
        assert await other.heard_nothing()
        assert other.parts.empty()
        assert house.firmware.offers.refused["not its job"] == before + 1
    # Nothing of it is left for one who comes later.
    async with board(house, "MC-2", others) as later:
        await later.listen()
        assert await later.heard_nothing()


async def test_an_image_part_by_part_and_what_it_says_of_it(house, boards):
    token, job = await boards.assigned(await boards.image())
    async with board(house, "MC-1", token) as one:
        await one.listen()
        await one.offer()
        assert await one.fetch(job.id, length=4096) == DATA
        assert (boards.job().state, boards.job().received) == ("downloading", len(DATA))
        for state in ("downloading", "downloaded", "verified", "installing"):
            await one.word(job.id, state, received=len(DATA))
            assert boards.job().state == state
        await one.word(job.id, "failed", error="the flash is worn out")
        assert "worn out" in (boards.job().error or "")


@pytest.mark.parametrize("length", [256, 257, 1000, 1024, 4095, 4096])
async def test_parts_of_every_size_at_every_edge(house, boards, length):
    token, job = await boards.assigned(await boards.image())
    async with board(house, "MC-1", token) as one:
        await one.listen()
        await one.offer()
        for offset in (0, 1, 255, 4095, 4096, len(DATA) - length - 1, len(DATA) - length, len(DATA) - 1):
            assert await one.part(job.id, offset, length) == DATA[offset : offset + length]
        # One whose checksum was wrong on arrival is asked for again.
        assert await one.part(job.id, 0, length) == DATA[:length]
        for offset in (len(DATA), len(DATA) + 1, 2**32, 2**40):
            assert await one.part(job.id, offset, length) == b""


async def test_what_makes_no_sense_is_set_aside(house, boards):
    token, job = await boards.assigned(await boards.image())
    async with board(house, "MC-1", token) as one:
        await one.listen()
        await one.offer()
        good = {"job": job.id, "offset": 0, "length": 1024}
        wrong = [
            *({**good, "length": length} for length in (255, 4097, 0, -1, "1024", 1024.5, True, None, 2**70)),
            *({**good, "offset": offset} for offset in (-1, "0", 0.5, None, 2**40 + 1, [0])),
            *({**good, "job": id} for id in (None, 7, "", "x" * 50_000, "0" * 16, "../probe", "+/#", {})),
            {}, [], 7, "chunk", None,
        ]  # fmt: skip
        for number, asked in enumerate(wrong, 1):
            await one.say("MC-1/up/chunk", asked)
            assert house_counts(house)["up/chunk"] == number, asked
        raw = [b"", b"{", b"\xff", b"[" * 50_000, b'{"job":"' + os.urandom(40)]
        for payload in raw:
            await one.say("MC-1/up/chunk", payload)
        assert house_counts(house)["up/chunk"] == len(wrong) + len(raw)
        assert one.parts.empty()
        words = [
            {"job": job.id}, {"job": job.id, "state": "confirmed"}, {"state": "downloading"}, [], "x", 7,
            {"job": job.id, "state": "downloading", "received": -1},
            {"job": job.id, "state": "downloading", "received": len(DATA) + 1},
            {"job": job.id, "state": "downloading", "received": "1"}, {"job": 7, "state": "downloading"},
            {"job": job.id, "state": ["downloading"]}, {"job": job.id, "state": {}},
        ]  # fmt: skip
        for number, word in enumerate(words, 1):
            await one.say("MC-1/up/firmware", word)
            assert house_counts(house)["up/firmware"] == number, word
        # The session lives, and the update goes on.
        assert boards.job().state == "offered"
        assert await one.fetch(job.id, length=4096) == DATA


def house_counts(house):
    return house.link._receiver.set_aside


async def test_a_part_of_no_update_of_its_own(house, boards):
    image = await boards.image()
    token, job = await boards.assigned(image)
    _, others = await boards.assigned(image, "MC-2")
    async with board(house, "MC-1", token) as one:
        await one.listen()
        await one.offer()
        one.ask(others.id, 0)
        assert await one.heard_nothing()
        # Called off: it is told so, and gets no more.
        await one.part(job.id, 0)
        await house.firmware.assignments.cancel(job.id, TECHNICIAN)
        assert await one.offer() == {"job": job.id, "abort": True}
        one.ask(job.id, 1024)
        assert await one.heard_nothing()
        assert one.parts.empty()


async def test_who_waits_for_approval_gets_nothing(house, boards):
    image = await boards.image()
    _, job = await boards.assigned(image)
    granted = await house.core.enrolment.register(application("MC-9"), "10.0.0.2")
    async with board(house, granted.id, granted.token) as one:
        assert await one.subscribe(f"{granted.id}/down/firmware", f"{granted.id}/down/chunk/#") == [128, 128]
        one.ask(job.id, 0)
        one.ask("probe", 0)
        assert await one.heard_nothing()
        assert one.parts.empty()


async def test_the_probe(house, boards):
    token, job = await boards.assigned(await boards.image())
    number = house.core.registry.get("MC-1").number
    async with board(house, "MC-1", token) as one:
        await one.listen()
        probe = (await one.offer())["probe"]
        assert (probe["size"], probe["digest"]) == (1024, "sha256:" + sha256(PROBE).hexdigest())
        assert await one.part("probe", 0) == PROBE
        assert await one.part("probe", 512, 256) == PROBE[512:768]
        assert await one.part("probe", 1024) == b""
        await one.part(job.id, 0)
        result = {"http": False, "mqtt": True}
        await one.word(job.id, "downloading", received=1024, probe=result, transport="mqtt")
        kept = house.firmware.probing.of(number)
        assert (kept.http, kept.mqtt) == (False, True)
        # Asked once: the next offer has none.
        await one.say("MC-1/up/register")
        assert "probe" not in await one.offer()


async def test_what_a_probe_showed_outlives_a_restart(tmp_path):
    async with open_house(tmp_path) as house:
        module, _ = await approved(house.core)
        for nonsense in ({}, {"http": 1}, {"mqtt": "yes"}, {"else": True}):
            house.firmware.probing.note(module, nonsense)
        assert house.firmware.probing.of(module.number) is None
        house.firmware.probing.note(module, {"http": True, "mqtt": 7, "x": "y" * 1000})
        house.firmware.probing.note(module, {"http": False, "mqtt": True})
    async with open_house(tmp_path) as house:
        kept = house.firmware.probing.of(module.number)
        assert (kept.http, kept.mqtt) == (False, True)
        assert kept.at_ms > 0
        await house.core.registry.delete(module.id, ADMIN)
        assert house.firmware.probing.of(module.number) is None
    async with open_house(tmp_path) as house:
        assert house.firmware.probing.of(module.number) is None


async def test_it_goes_on_where_it_was_after_a_restart_of_both(tmp_path):
    async with open_house(tmp_path) as house:
        boards = Boards(house)
        token, job = await boards.assigned(await boards.image())
        async with board(house, "MC-1", token) as one:
            await one.listen()
            await one.offer()
            got = await one.fetch(job.id, upto=20_000)
    async with open_house(tmp_path) as house:
        async with board(house, "MC-1", token) as one:
            await one.listen()
            offer = await one.offer()
            assert offer["job"] == job.id
            got += await one.fetch(job.id, start=len(got), length=4096)
        assert got == DATA


async def test_a_hello_says_what_runs(house):
    reported = heard(house.core, FirmwareReported)
    _, token = await approved(house.core)
    async with board(house, "MC-1", token) as one:
        await one.listen()
        digest = "sha256:" + "a" * 64
        for said, told in (
            ({"firmware": {"serial": "app-1", "version": "1", "digest": digest}},
             {"serial": "app-1", "version": "1", "digest": digest}),
            ({"firmware": "app-1"}, {"serial": "app-1"}),
            ({"firmware": {"serial": "s" * 5000, "version": 7, "else": "x"}}, {"serial": "s" * 200}),
        ):  # fmt: skip
            reported.clear()
            await one.say("MC-1/up/register", said)
            assert [(event.said, event.occasion, event.by) for event in reported] == [(told, "hello", "MC-1")]
        reported.clear()
        for said in ({}, {"firmware": {}}, {"firmware": 7}, {"firmware": [{}]}, {"firmware": {"serial": ""}}):
            await one.say("MC-1/up/register", said)
            assert (await one.hear())[0] == "down/registered"
        assert reported == []


# Speed, and being fair


MEGABYTE = random.Random(9).randbytes(1_000_000)


async def test_a_megabyte_in_parts_of_a_kilobyte(house, boards):
    """One question at a time. The real bound is 20 s on an idle machine; here others may be at work."""
    token, job = await boards.assigned(await boards.image(data=MEGABYTE))
    async with board(house, "MC-1", token) as one:
        await one.listen()
        await one.offer()
        assert await one.fetch(job.id, length=1024) == MEGABYTE


async def test_a_flood_of_questions_delays_nobody_unfairly(tmp_path):
    """With the limits of a real gateway: another module's words are acknowledged all the while."""
    async with open_house(tmp_path, rate_limits=True) as house:
        boards = Boards(house)
        token, job = await boards.assigned(await boards.image(data=MEGABYTE))
        _, others = await approved(house.core, "MC-2", address="10.0.0.2")
        async with board(house, "MC-1", token) as greedy, board(house, "MC-2", others) as other:
            await greedy.listen()
            await greedy.offer()
            waits = []
            flood = asyncio.create_task(_flood(greedy, job.id))
            await greedy.parts.get()
            for _ in range(50):
                since = time.perf_counter()
                await other.say("MC-2/up/telemetry", {"value": 1})
                waits.append(time.perf_counter() - since)
            flood.cancel()
            await asyncio.wait([flood])
            assert sorted(waits)[len(waits) // 2] < 1
            assert max(waits) < 10
            # It was not closed for that, only slowed down.
            assert not greedy.ended.is_set() or house.link.stats()["too_slow"]


async def _flood(board, job):
    """As fast as the socket takes it, and reading what comes."""
    offset = 0
    while True:
        for _ in range(200):
            board.ask(job, offset % len(MEGABYTE), 4096)
            offset += 4096
        await board.wire.writer.drain()
        await asyncio.sleep(0)


async def test_one_who_asks_and_does_not_read_is_closed(tmp_path):
    """What waits for it is bounded by the door, as for anybody."""
    async with open_house(tmp_path) as house:
        boards = Boards(house)
        token, job = await boards.assigned(await boards.image(data=MEGABYTE))
        async with mqtt.client(house.link.ports[0], "MC-1", user="MC-1", password=token) as wire:
            wire.send(mqtt.subscribe(1, ("gw/1/MC-1/down/#", 1)))
            await wire.read()
            asked = json.dumps({"job": job.id, "offset": 0, "length": 4096}).encode()
            for _ in range(400):
                wire.send(mqtt.publish("gw/1/MC-1/up/chunk", asked) * 50)
                await asyncio.sleep(0)
                if house.link.stats()["too_slow"]:
                    break
            await until(lambda: house.link.stats()["too_slow"] == 1)
        assert house.link.stats()["errors"] == 0
        assert Limits().write_buffer_bytes <= 4 * 1024 * 1024
