"""An end in order is quick whoever does not listen, and a kill right after an answer takes nothing back."""

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

from tests.conformance import packets as mqtt
from tests.conformance.client import Client, Wire
from tests.gateway_process import ADMIN, wait_until

from .house import House, form_token, history, log_in_by_form

DEAF = 50
STOP_S = 10
PASSWORD = "correct horse battery"
BIG = "x" * 60_000


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as running:
        yield running


def printed_secret(house: House) -> str | None:
    found = re.search(r"secret=(\S+)", "\n".join(house.lines))
    return found and found.group(1)


def stop(house: House) -> None:
    """End it in order, within the time; what stands for a running gateway is cleared away."""
    began_s = time.monotonic()
    assert house.stop() in (0, -signal.SIGTERM), house.printed
    assert time.monotonic() - began_s <= STOP_S
    assert not (house.data / "control.sock").exists(), "it did not come to the end of its own accord"


def test_d2_the_set_up_form_survives_a_kill(house: House) -> None:
    secret = wait_until(lambda: printed_secret(house), "the set-up link")
    with httpx.Client(base_url=house.url, timeout=30) as browser:
        page = browser.get("/setup", params={"secret": secret}).text
        words = {"secret": secret, "username": ADMIN, "password": PASSWORD, "again": PASSWORD}
        answer = browser.post("/setup", data={"csrf": form_token(page), **words})
        assert answer.status_code == 303
        house.kill9()
        house.start()
        assert not any("secret=" in line for line in house.lines)
        assert browser.get("/modules").status_code == 200, "the session that the form began is gone"
        assert browser.get("/setup", params={"secret": secret}).status_code == 410
    with closing(log_in_by_form(house.url, PASSWORD)) as again:
        assert again.get("/admin").status_code == 200
    assert secret not in "\n".join(house.lines)


def test_d3_what_was_not_acknowledged_comes_again_after_a_kill(house: House) -> None:
    """QoS 1 messages to a program that took them and never said so: again, marked, in order."""
    with house.api() as api:
        reader = house.service(api, "reader")
        (raiser,) = house.declare({"STRIP": 0}).values()
        with reader.client(house.mqtt_port, clean=False, acks="none") as program:
            program.subscribe(("gw/1/+/out/event/#", 1))
            with raiser.client(house.mqtt_port) as device:
                for red in range(5):
                    event = json.dumps({"red": red, "green": 0, "blue": 0}).encode()
                    device.publish(raiser.topic("up", "event", "color"), event, qos=1)
            first = program.receive(5)
            house.kill9()
        house.start()
        with reader.client(house.mqtt_port, clean=False) as program:
            assert program.session_present
            again = program.receive(5)
            assert [message.payload for message in again] == [message.payload for message in first]
            assert all(message.dup for message in again)
            assert [message.id for message in again] == [message.id for message in first]
            program.disconnect()
        with reader.client(house.mqtt_port, clean=False) as program:
            program.ping()
            assert not program.messages, "acknowledged messages came again"
            program.disconnect()


def test_u12_stops_in_order_whoever_does_not_read(house: House) -> None:
    """50 clients that stop reading, slow web clients and sockets that say nothing: gone within 10 s."""
    with house.api() as api, ExitStack() as stack:
        (talker,) = house.declare({"TALKER": 7}).values()
        reader = house.service(api, "reader")
        readers = [Client(house.mqtt_port, f"deaf-{n}", user=reader.id, password=reader.token.encode())
                   for n in range(DEAF)]  # fmt: skip
        for client in readers:
            stack.enter_context(client)
            client.subscribe(("gw/1/+/out/#", 1))
        for _ in range(10):
            stack.enter_context(Wire(house.mqtt_port))
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", house.http_port)))
            slow.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
        device = stack.enter_context(talker.client(house.mqtt_port))
        for number in range(20):
            values = json.dumps({"n": number, "big": BIG}).encode()
            device.publish(talker.topic("up", "telemetry"), values, qos=1)
        stop(house)
        house.start()
        assert history(api, "TALKER", "n") == list(range(20))
        assert api.get("/modules/TALKER").json()["telemetry"]["n"] == 19
    assert not any("Traceback" in line for line in house.printed)


def test_u12_stops_with_a_packet_half_sent(house: House) -> None:
    with house.api():
        (talker,) = house.declare({"TALKER": 7}).values()
        whole = mqtt.publish(talker.topic("up", "telemetry"), b'{"n": 1}', qos=1, id=1)
        with talker.client(house.mqtt_port) as device:
            device.send(whole[:-3])
            stop(house)
            device.wait_closed()
        house.start()
        wait_until(lambda: house.answers("/readyz"), "the gateway")


def test_d1_readings_faster_than_the_clock_survive_a_kill(house: House) -> None:
    """Each reading has a millisecond of its own, so a burst runs ahead of the clock; what comes after a quick
    restart must not take the places of those before."""
    with house.api() as api:
        (talker,) = house.declare({"TALKER": 7}).values()
        for life in range(2):
            with talker.client(house.mqtt_port) as device:
                for batch in range(5):
                    first = (life * 5 + batch) * 1000
                    readings = json.dumps([{"n": first + number} for number in range(1000)]).encode()
                    device.publish(talker.topic("up", "telemetry"), readings, qos=1)
            if not life:
                house.kill9()
                house.start()
        assert history(api, "TALKER", "n") == list(range(10_000))
