"""D6: a last will is heard exactly once when a session ends badly, and never after a goodbye."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import httpx
import pytest

from tests.conformance import packets as mqtt
from tests.conformance.client import Client, Wire
from tests.conformance.packets import Will
from tests.gateway_process import wait_until

from .devices import Account
from .house import House

MODULES = [f"W-{number}" for number in range(1, 9)]
LED_STRIP = 0
numbers = count(1)


@dataclass
class Watchpost:
    """`listening` is to what everybody may know of modules."""

    house: House
    api: httpx.Client
    modules: dict[str, Account]
    reader: Account

    @contextmanager
    def listening(self) -> Iterator[Client]:
        with self.reader.client(self.house.mqtt_port) as program:
            program.subscribe(("gw/1/+/out/event/#", 1))
            yield program

    def presence(self, id: str) -> tuple[str, str]:
        seen = self.api.get(f"/modules/{id}").json()
        return seen["status"], seen["reason"]


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watchpost]:
    with House(tmp_path_factory.mktemp("wills")) as house, house.api() as api:
        modules = house.declare(dict.fromkeys(MODULES, LED_STRIP))
        reader = house.service(api, "reader")
        yield Watchpost(house, api, modules, reader)


def announced(id: str, number: int) -> Will:
    """A will that raises an event, so that everybody can count it."""
    return Will(f"gw/1/{id}/up/event/color", colour(number), 1)


def colour(number: int) -> bytes:
    return json.dumps({"red": 0, "green": number // 256, "blue": number % 256}).encode()


def gone(id: str) -> Will:
    return Will(f"gw/1/{id}/up/availability", b"offline", 1, True)


def heard(post: Watchpost, program: Client) -> list[tuple[str, int]]:
    """The events (module, number) up to one that is raised now by W-8."""
    mark = next(numbers)
    with post.modules["W-8"].client(post.house.mqtt_port) as device:
        device.publish("gw/1/W-8/up/event/color", colour(mark), qos=1)
        device.disconnect()
    found: list[tuple[str, int]] = []
    while ("W-8", mark) not in found:
        message = program.one()
        values = json.loads(message.payload)
        found.append((message.topic.split("/")[2], values["green"] * 256 + values["blue"]))
    return found[:-1]


def connected(post: Watchpost, id: str, will: Will, **more) -> Client:
    return post.modules[id].client(post.house.mqtt_port, will=will, **more)


def test_d6_crash(post: Watchpost) -> None:
    number = next(numbers)
    with post.listening() as program:
        with connected(post, "W-1", announced("W-1", number)) as device:
            device.ping()
        wait_until(lambda: post.api.get("/modules/W-1").json()["session"] is False, "the session's end")
        assert heard(post, program) == [("W-1", number)]
    with connected(post, "W-1", gone("W-1")) as device:
        device.publish("gw/1/W-1/up/availability", b"online", qos=1, retain=True)
        assert post.presence("W-1") == ("online", "hello")
    wait_until(lambda: post.presence("W-1") == ("offline", "will"), "W-1 to be offline by its will")


def test_d6_goodbye(post: Watchpost) -> None:
    with post.listening() as program:
        with connected(post, "W-2", announced("W-2", next(numbers))) as device:
            device.publish("gw/1/W-2/up/availability", b"online", qos=1, retain=True)
            device.disconnect()
        wait_until(lambda: post.presence("W-2") == ("offline", "goodbye"), "W-2 to have said goodbye")
        assert heard(post, program) == []


def test_d6_keepalive(post: Watchpost) -> None:
    number = next(numbers)
    began_s = time.monotonic()
    with post.listening() as program, connected(post, "W-3", announced("W-3", number), keepalive=1) as device:
        device.wait_closed()
        assert time.monotonic() - began_s >= 1.4
        assert heard(post, program) == [("W-3", number)]


def test_d6_takeover(post: Watchpost) -> None:
    number = next(numbers)
    with post.listening() as program:
        with connected(post, "W-4", announced("W-4", number)) as old:
            old.publish("gw/1/W-4/up/availability", b"online", qos=1, retain=True)
            with connected(post, "W-4", announced("W-4", next(numbers))) as new:
                old.wait_closed()
                old.cut()
                new.ping()
                assert heard(post, program) == [("W-4", number)]
                assert post.presence("W-4")[0] == "online", "the old session's end took the new one offline"
                new.disconnect()
        assert heard(post, program) == []


@pytest.mark.parametrize("ending", ["kill9", "stop"])
def test_d6_gateway_restart(post: Watchpost, ending: str) -> None:
    """Who comes back keeps silent; who does not is reported once, when his keepalive is over."""
    lost, returned = next(numbers), next(numbers)
    house = post.house
    with (
        connected(post, "W-5", announced("W-5", lost), keepalive=2),
        connected(post, "W-6", announced("W-6", returned), keepalive=2),
        connected(post, "W-7", gone("W-7"), keepalive=2) as third,
    ):
        third.publish("gw/1/W-7/up/availability", b"online", qos=1, retain=True)
        getattr(house, ending)()
    house.start()
    with post.listening() as program:
        with connected(post, "W-6", announced("W-6", returned), keepalive=60) as back:
            assert post.presence("W-7")[0] in ("unknown", "offline")
            wait_until(lambda: post.presence("W-7") == ("offline", "will"), "W-7 to be offline by its will")
            wills = wait_until(lambda: heard(post, program), "the will of W-5")
            assert wills == [("W-5", lost)]
            back.disconnect()
    house.restart()
    with post.listening() as program:
        time.sleep(4)  # longer than any grace above
        assert heard(post, program) == [], "a will was heard again"


def test_d6_wills_are_under_rights(post: Watchpost) -> None:
    """Of another's topic, of what only the gateway may say, and of `$` topics none is taken."""
    me = post.modules["W-1"]
    for topic in ("gw/1/W-2/up/availability", "gw/1/W-1/out/availability", "gw/1/register/x", "$SYS/x"):
        with Wire(post.house.mqtt_port) as wire:
            words = {"user": me.id, "password": me.token.encode(), "will": Will(topic, b"offline")}
            wire.send(mqtt.connect(me.id, **words))
            assert wire.read() == mqtt.Connack(False, 5), topic
