"""The device's MQTT, packet by packet, against a broker that does what real ones seldom do."""

import json
from collections.abc import Iterator

import pytest

from .harness import Board
from .scripted import CONNECT, PINGREQ, PUBACK, PUBLISH, SUBACK, SUBSCRIBE, Link, ScriptedBroker, text

UP, DOWN = "gw/1/MP-1/up/", "gw/1/MP-1/down/"
PROGRAM = """
import asyncio
import settings
from passerelle import Passerelle

gateway = Passerelle(settings)

@gateway.command("led")
def led(params):
    print("led runs")

async def main():
    for count in range(READINGS):
        await gateway.telemetry({"count": count})
    await asyncio.sleep(ON)

asyncio.run(gateway.run(main()))
print("the end")
"""


@pytest.fixture
def broker() -> Iterator[ScriptedBroker]:
    broker = ScriptedBroker()
    yield broker
    broker.close()


def start(
    board: Board,
    broker: ScriptedBroker,
    readings: int = 0,
    on: int = 600,
    approved: bool = True,
    **settings: object,
) -> None:
    program = PROGRAM.replace("READINGS", str(readings)).replace("ON", str(on))
    known = {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": broker.port, "SERIAL": "MP-1"}
    board.install(program, **(known | settings))
    credentials = {"id": "MP-1", "token": "secret0", "approved": approved}
    (board.folder / "credentials.json").write_text(json.dumps(credentials))
    board.start()


def enrol(link: Link) -> None:
    """Play one enrolment: pending, with the token `secret1`."""
    link.until(SUBSCRIBE)
    asked = link.until(PUBLISH)
    grant = {"status": "pending", "id": "MP-1", "token": "secret1", "retry_after": 1}
    link.say(asked.topic + "/reply", grant, 1)
    assert link.closed()


def test_the_login_is_as_the_contract_has_it(board: Board, broker: ScriptedBroker) -> None:
    start(board, broker, KEEPALIVE_S=300)
    with broker.accept() as (link, hello):
        head = text(b"MQTT") + bytes((4, 0b1110_1100)) + (300).to_bytes(2, "big")
        will = text(f"{UP}availability".encode()) + text(b"offline")
        assert hello.body == head + text(b"MP-1") + will + text(b"MP-1") + text(b"secret0")
        assert link.until(SUBSCRIBE).body[2:] == text(f"{DOWN}registered".encode()) + b"\1"
        assert link.until(SUBSCRIBE).body[2:] == text(f"{DOWN}#".encode()) + b"\1"
        available = link.until(PUBLISH, f"{UP}availability")
        assert (available.flags, available.payload) == (0b0011, b"online")
        assert link.until(PUBLISH, f"{UP}register").payload == b""


def test_what_was_not_acknowledged_is_sent_again_in_order(board: Board, broker: ScriptedBroker) -> None:
    start(board, broker, readings=6)
    with broker.accept() as (link, _):
        first = [link.until(PUBLISH, f"{UP}telemetry", acknowledge=False) for _ in range(4)]
        assert [json.loads(packet.payload)["values"]["count"] for packet in first] == [0, 1, 2, 3]
        assert [packet.flags for packet in first] == [0b0010] * 4
        link.send(PUBACK, first[0].pid.to_bytes(2, "big"))
        fifth = link.until(PUBLISH, f"{UP}telemetry", acknowledge=False)
    with broker.accept() as (link, _):
        again = [link.until(PUBLISH, f"{UP}telemetry") for _ in range(5)]
        assert [packet.pid for packet in again[:4]] == [packet.pid for packet in [*first[1:], fifth]]
        assert [packet.payload for packet in again[:4]] == [packet.payload for packet in [*first[1:], fifth]]
        assert [packet.flags for packet in again] == [0b1010] * 4 + [0b0010]


def test_it_says_goodbye_when_its_program_ends(board: Board, broker: ScriptedBroker) -> None:
    start(board, broker, readings=3, on=0)
    with broker.accept() as (link, _):
        for _ in range(3):
            link.until(PUBLISH, f"{UP}telemetry")
        last = link.until(PUBLISH, f"{UP}availability")
        assert (last.flags, last.payload) == (0b0011, b"offline")
        assert link.read().kind == 14
        assert link.closed()
    board.says("the end")


def test_commands_are_acknowledged_and_a_repeated_one_runs_once(board: Board, broker: ScriptedBroker) -> None:
    start(board, broker)
    command = {"id": "a", "command": "led", "params": {}}
    with broker.accept() as (link, _):
        link.until(PUBLISH, f"{UP}register")
        link.say(f"{DOWN}command", command, 7)
        assert link.until(PUBACK).pid == 7
    with broker.accept() as (link, _):
        link.say(f"{DOWN}command", command, 7, dup=True)
        assert link.until(PUBACK).pid == 7
        link.until(PUBLISH, f"{UP}reply")
    board.says("led runs")
    assert board.count("led runs") == 1


def test_it_pings_and_gives_up_a_broker_that_does_not_answer(board: Board, broker: ScriptedBroker) -> None:
    start(board, broker, KEEPALIVE_S=2)
    with broker.accept() as (link, _):
        for _ in range(3):
            link.until(PINGREQ)
        link.until(PINGREQ, acknowledge=False)
        assert link.closed()
    with broker.accept() as (link, _):
        link.until(PUBLISH, f"{UP}register")


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x30\xff\xff\xff\xff\xff\x7f",
        b"\x34\x05\x00\x01a\x00\x01",
        b"\x36\x05\x00\x01a\x00\x01",
        b"\x32\x03\x00\x09a",
        b"\x30\x04\x00\x02\xff\xfe",
        b"\x32\x00",
        b"\x90\x02\x00\x02\x40\x00\xff",
        b"\xf0\x00\x00\x00",
    ],
)
def test_a_broker_that_talks_nonsense_costs_only_the_connection(
    board: Board, broker: ScriptedBroker, nonsense: bytes
) -> None:
    start(board, broker, KEEPALIVE_S=2)
    with broker.accept() as (link, _):
        link.until(PUBLISH, f"{UP}register")
        link.raw(nonsense)
        assert link.closed()
    with broker.accept() as (link, _):
        link.until(PUBLISH, f"{UP}register")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[1]",
        b'{"id":',
        b'{"id":null,"command":"led"}',
        b'{"id":"x","command":["led"]}',
        b"\xff",
        b"x" * 20000,
    ],
    ids=range(7),
)
def test_a_command_that_makes_no_sense_is_set_aside(
    board: Board, broker: ScriptedBroker, payload: bytes
) -> None:
    start(board, broker)
    with broker.accept() as (link, _):
        link.publish(f"{DOWN}command", payload, 5)
        assert link.until(PUBACK).pid == 5
        link.publish(f"{DOWN}registered", payload, 6)
        assert link.until(PUBACK).pid == 6
        link.say(f"{DOWN}command", {"id": 12, "command": "led", "params": None}, 7)
        accepted = link.until(PUBLISH, f"{UP}reply")
        assert json.loads(accepted.payload) == {"id": 12, "status": "accepted"}


def test_a_refused_newcomer_asks_for_a_new_token(board: Board, broker: ScriptedBroker) -> None:
    start(board, broker, approved=False)
    for _ in range(2):
        with broker.accept(answer=4):
            pass
    with broker.accept() as (link, hello):
        assert hello.body[7] == 2  # no user name: an enrolment
        enrol(link)
    with broker.accept() as (link, hello):
        assert hello.body.endswith(text(b"secret1"))
        link.until(PUBLISH, f"{UP}register")
    assert board.kept("credentials.json")["token"] == "secret1"


def test_an_approved_device_is_patient_with_a_gateway_that_is_not_itself(
    board: Board, broker: ScriptedBroker
) -> None:
    start(board, broker)
    for code in (5, 3, 4, 5):
        with broker.accept(answer=code):
            pass
    with broker.accept() as (link, hello):
        assert hello.body.endswith(text(b"secret0"))
        link.until(PUBLISH, f"{UP}register")


def test_a_device_that_may_not_listen_any_more_waits_again(board: Board, broker: ScriptedBroker) -> None:
    start(board, broker, readings=1)
    with broker.accept() as (link, _):
        link.until(SUBSCRIBE)
        asked = link.read()
        assert asked.kind == SUBSCRIBE
        link.send(SUBACK, asked.body[:2] + b"\x80")
        assert link.closed()
    with broker.accept() as (link, _):
        link.until(PUBLISH, f"{UP}register")
        link.say(f"{DOWN}registered", {"status": "online", "id": "MP-1"}, 9)
        link.until(PUBLISH, f"{UP}telemetry")


def test_a_port_that_nobody_listens_on_is_tried_again(board: Board, broker: ScriptedBroker) -> None:
    broker.close()
    start(board, broker)
    board.says("no connection", 2)


def test_something_else_than_a_broker_is_tried_again(board: Board, broker: ScriptedBroker) -> None:
    start(board, broker)
    peer, _ = broker._server.accept()
    with peer:
        peer.recv(1000)
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with broker.accept() as (link, hello):
        assert hello.kind == CONNECT
        link.until(PUBLISH, f"{UP}register")
