"""Updates of a device from one version to the next: both ways, and whatever may go wrong on the way."""

import os
import random
import ssl
import time
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from . import micropython
from .harness import INTERPRETERS, Mosquitto, wait_until
from .programs import PROGRAM
from .test_tls import make
from .updating import Files, Gateway, Image, Sent, Slotted, bundle, program, serving, sha

DATA = os.urandom(150_000)
IMAGE = Image(bundle(program(2), {"data/noise.bin": DATA}))
BOARD_HAS = ["downloading", "downloaded", "verified", "installing"]


@pytest.fixture(params=INTERPRETERS)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Slotted]:
    board = Slotted(tmp_path / "board", request.param)
    yield board
    board.cut_power()
    assert not board.count("Traceback"), "\n".join(board.lines)


@pytest.fixture
def gateway(broker: Mosquitto, board: Slotted) -> Iterator[Gateway]:
    gateway = Gateway(broker.port, board)
    yield gateway
    gateway.close()


@pytest.fixture
def files() -> Iterator[Files]:
    with serving(IMAGE.data) as files:
        yield files


def online(
    board: Slotted, gateway: Gateway, broker: Mosquitto, compiled: bool = False, **settings: object
) -> None:
    """Version 1 runs in slot a."""
    where = {
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_PORT": broker.port,
        "SERIAL": "MP-1",
        "FIRMWARE": "probe-1",
    }
    board.install(program(1), **(where | settings))
    if compiled:
        board.compile()
    board.start()
    gateway.hears("MP-1/up/register")
    gateway.approve("MP-1")
    gateway.runs(1)


def updated(board: Slotted, gateway: Gateway, image: Image = IMAGE) -> None:
    """Version 2 runs, has proved itself, and has said what it is."""
    board.kept_slot("b")
    gateway.runs(2)
    digest = "sha256:" + sha(image.data)
    assert gateway.hello() == {"firmware": {"serial": "probe-2", "version": "2", "digest": digest}}
    assert (board.folder / "b" / "main.py").read_text() == program(2)


@pytest.mark.parametrize("way", ["http", "mqtt"])
def test_a_board_updates_itself(
    board: Slotted, gateway: Gateway, broker: Mosquitto, files: Files, way: str
) -> None:
    online(board, gateway, broker)
    assert gateway.hello() == {"firmware": {"serial": "probe-1"}}
    gateway.offer(IMAGE, url=files.url if way == "http" else "")
    updated(board, gateway)
    assert gateway.states() == BOARD_HAS
    assert (board.folder / "b" / "data" / "noise.bin").read_bytes() == DATA
    assert not (board.folder / "update.part").exists()
    assert files.offsets == ([0] if way == "http" else [])
    assert bool(gateway.asked) is (way == "mqtt")
    received = [body.get("received", 0) for body in gateway.bodies("MP-1/up/firmware")]
    assert max(later - sooner for sooner, later in pairwise(received)) < 80_000
    board.restart()
    gateway.runs(2)


def test_there_and_back_again(board: Slotted, gateway: Gateway, broker: Mosquitto) -> None:
    online(board, gateway, broker)
    gateway.offer(Image(bundle(program(2))))
    board.kept_slot("b")
    gateway.offer(Image(bundle(program(3)), "probe-3", "3"), "job2")
    board.kept_slot("a")
    gateway.runs(3)
    assert gateway.hello()["firmware"]["serial"] == "probe-3"
    assert not board.state()["verdict"]


def arrived(board: Slotted, files: Files, requests: int, place: int) -> None:
    """Wait for what is settled: a board does that every 4 KiB, and what came after may be lost in a cut."""
    part = board.folder / "update.part"
    wait_until(lambda: len(files.offsets) >= requests, f"request {requests}: {board.lines[-10:]}")
    wait_until(lambda: part.exists() and part.stat().st_size >= place - 4096, f"{place} bytes")


@pytest.mark.timeout(400)
def test_fifty_power_cuts_over_http(
    board: Slotted, gateway: Gateway, broker: Mosquitto, files: Files
) -> None:
    online(board, gateway, broker)
    places = sorted(random.sample(range(5000, len(IMAGE.data) - 1), 50))
    files.halts_at = places[0]
    gateway.offer(IMAGE, url=files.url)
    for cut, place in enumerate(places):
        files.halts_at = place
        if cut:
            board.start()
        arrived(board, files, cut + 1, place)
        board.cut_power()
        files.over.set()
        files.over.clear()
    files.halts_at = len(IMAGE.data)
    board.start()
    updated(board, gateway)
    assert files.offsets[0] == 0
    assert all(offset > place - 4097 for offset, place in zip(files.offsets[1:], places, strict=False))
    assert gateway.states() == BOARD_HAS


def asks_behind(gateway: Gateway, place: int) -> None:
    wait_until(lambda: gateway.asked and gateway.asked[-1] > place, f"a question behind {place}")


@pytest.mark.timeout(400)
def test_power_cuts_over_mqtt(board: Slotted, gateway: Gateway, broker: Mosquitto) -> None:
    online(board, gateway, broker)
    places = sorted(random.sample(range(5000, len(IMAGE.data) - 5000), 10))
    halt = [places[0]]

    def stop(offset: int, sent: Sent) -> None:
        sent.times = 0 if offset > halt[0] else 1

    gateway.meddle = stop
    gateway.offer(IMAGE)
    for cut, place in enumerate(places):
        halt[0] = place
        if cut:
            board.start()
        asks_behind(gateway, place)
        board.cut_power()
    halt[0] = len(IMAGE.data)
    board.start()
    updated(board, gateway)
    assert gateway.asked.count(0) == 1


@pytest.mark.parametrize("state", [*BOARD_HAS, "on trial"])
def test_the_power_is_cut_in_every_state(
    board: Slotted, gateway: Gateway, broker: Mosquitto, state: str
) -> None:
    online(board, gateway, broker)
    gateway.offer(IMAGE)
    if state == "downloading":
        asks_behind(gateway, 20_000)
    elif state == "on trial":
        board.says("on trial")
    else:
        gateway.hears_state(state)
    board.restart()
    updated(board, gateway)
    assert gateway.asked.count(0) == 1


def test_damaged_late_double_and_lost_chunks(board: Slotted, gateway: Gateway, broker: Mosquitto) -> None:
    online(board, gateway, broker)
    count = [0]

    def meddle(offset: int, sent: Sent) -> None:
        count[0] += 1
        if count[0] == 3:
            sent.payload = sent.payload[:-1] + bytes((sent.payload[-1] ^ 1,))
        elif count[0] == 5:
            sent.times = 3
        elif count[0] == 7:
            sent.times = 0
        elif count[0] == 9:
            gateway.client.publish(sent.topic.replace(str(offset), "0"), sent.payload, 0)
        elif count[0] == 11:
            sent.payload = sent.payload[:2]
        elif count[0] == 13:
            sent.payload = b""
        elif count[0] == 15:
            sent.payload = bytes(9000)

    gateway.meddle = meddle
    gateway.offer(IMAGE)
    updated(board, gateway)
    assert count[0] > 30


def test_a_link_that_has_expired(board: Slotted, gateway: Gateway, broker: Mosquitto, files: Files) -> None:
    online(board, gateway, broker)
    files.token = board.kept("credentials.json")["token"]
    gateway.offer(IMAGE, url=files.url)
    updated(board, gateway)
    assert [bool(authorization) for _, _, authorization in files.asked] == [False, True]
    assert not gateway.asked


@pytest.mark.parametrize("trusted", ["house", "stranger"])
def test_an_image_in_cipher(
    board: Slotted, gateway: Gateway, broker: Mosquitto, files: Files, tmp_path: Path, trusted: str
) -> None:
    """From a server it can trust; a stranger gets not even the token, and the image comes in chunks."""
    make(tmp_path, "house")
    make(tmp_path, "stranger")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "house.crt", tmp_path / "house.key")
    files.socket = context.wrap_socket(files.socket, server_side=True)
    online(board, gateway, broker, TLS_CA=f"{tmp_path}/{trusted}.der")
    gateway.offer(IMAGE, url=files.url.replace("http://127.0.0.1", "https://localhost"))
    updated(board, gateway)
    assert bool(files.offsets) is (trusted == "house")
    assert bool(gateway.asked) is (trusted == "stranger")


def test_nobody_answers_over_http(board: Slotted, gateway: Gateway, broker: Mosquitto) -> None:
    online(board, gateway, broker)
    gateway.offer(IMAGE, url="http://127.0.0.1:9")
    updated(board, gateway)
    assert gateway.asked


def test_http_ends_in_the_middle(board: Slotted, gateway: Gateway, broker: Mosquitto, files: Files) -> None:
    online(board, gateway, broker)
    files.halts_at = 40_000
    files.over.set()
    gateway.offer(IMAGE, url=files.url)
    updated(board, gateway)
    assert gateway.asked[0] == 40_000


@pytest.mark.parametrize("way", ["http", "mqtt"])
def test_the_probe_chooses_the_way(
    board: Slotted, gateway: Gateway, broker: Mosquitto, files: Files, way: str
) -> None:
    online(board, gateway, broker)
    at = files.url if way == "http" else "http://127.0.0.1:9"
    probe = {"url": at + "/fw/probe", "size": 1024, "digest": "sha256:" + sha(files.probe)}
    gateway.offer(Image(IMAGE.data, changes={"probe": probe}), url=at)
    updated(board, gateway)
    first = gateway.bodies("MP-1/up/firmware")[0]
    assert first["probe"] == {"http": way == "http", "mqtt": True}
    assert (first["transport"], bool(gateway.asked)) == (way, way == "mqtt")


BAD_OFFERS = {
    "hmac": ({"hmac": "0" * 64}, "does not come from our gateway"),
    "another image": ({"digest": "sha256:" + "1" * 64}, "does not come from our gateway"),
    "another version": ({"version": "99"}, "does not come from our gateway"),
    "type": ({"type": 3}, "for type 3, this is type 7"),
    "hardware": ({"hardware": ["esp32-c6"]}, "for esp32-c6, this is linux"),
    "digest": ({"digest": "sha256:xyz"}, "no proper digest"),
    "size": ({"size": "many"}, "no proper size"),
    "hardware is no list": ({"hardware": 7}, "no proper hardware"),
}


@pytest.mark.parametrize(("changes", "why"), BAD_OFFERS.values(), ids=BAD_OFFERS)
def test_an_offer_that_is_not_for_it(
    board: Slotted, gateway: Gateway, broker: Mosquitto, changes: dict[str, object], why: str
) -> None:
    online(board, gateway, broker)
    gateway.offer(Image(IMAGE.data, changes=changes))
    assert why in gateway.hears_state("failed")["error"]
    assert gateway.states() == ["failed"]
    gateway.runs(1)
    assert not gateway.asked


def test_an_older_offer_is_not_taken(board: Slotted, gateway: Gateway, broker: Mosquitto) -> None:
    online(board, gateway, broker)
    now = int(time.time() * 1000)
    gateway.offer(Image(bundle(program(2))), issued=now)
    board.kept_slot("b")
    gateway.offer(Image(bundle(program(1)), "probe-1", "1"), "job0", issued=now - 1)
    assert "older than one" in gateway.hears_state("failed", "job0")["error"]
    gateway.runs(2)


def test_an_image_that_is_not_the_one_offered(board: Slotted, gateway: Gateway, broker: Mosquitto) -> None:
    online(board, gateway, broker)

    def meddle(offset: int, sent: Sent) -> None:
        data = sent.payload[4:-1] + b"?"
        sent.payload = zlib.crc32(data).to_bytes(4, "big") + data

    gateway.meddle = meddle
    gateway.offer(IMAGE)
    assert "its digest differs" in gateway.hears_state("failed")["error"]
    gateway.runs(1)
    gateway.meddle = lambda offset, sent: None
    gateway.offer(IMAGE)
    updated(board, gateway)


BAD_PROGRAMS = {
    "no such module": ("import nothing_like_it", "Error: no module named 'nothing_like_it'"),
    "not Python": ("def main(:", "SyntaxError"),
    "ends": ("print('done')", "the program has ended"),
    "fails later": (
        program(2).replace("while True:", "raise ValueError('no sensor')\n    while True:"),
        "no sensor",
    ),
    "hangs": ("while True:\n    pass\n", "in 3 starts"),
    "hangs later": (program(2).replace("await asyncio.sleep(0.5)", "while True: pass"), "in 3 starts"),
    "finds no gateway": ("import settings\nsettings.GATEWAY_PORT = 9\n" + program(2), "did not reach the"),
}


@pytest.mark.parametrize(("main", "why"), BAD_PROGRAMS.values(), ids=BAD_PROGRAMS)
def test_a_bad_program_is_rolled_back(
    board: Slotted, gateway: Gateway, broker: Mosquitto, main: str, why: str
) -> None:
    quick = {"in 3 starts": "UPDATE_WATCHDOG_S", "did not reach the": "UPDATE_DEADLINE_S"}
    online(board, gateway, broker, **({quick[why]: 4} if why in quick else {}))
    gateway.offer(Image(bundle(main)))
    gateway.hears_state("installing")
    gateway.offered = None
    assert why.lower() in gateway.hears_state("rolled_back")["error"].lower()
    gateway.runs(1)
    wait_until(lambda: not board.state()["verdict"], "the verdict told")
    assert board.state()["good"] == "a"
    assert gateway.hello() == {"firmware": {"serial": "probe-1"}}


def test_a_trial_survives_two_power_cuts_and_not_three(
    board: Slotted, gateway: Gateway, broker: Mosquitto
) -> None:
    online(board, gateway, broker, UPDATE_PROBATION_S=60)
    gateway.offer(Image(bundle(program(2))))
    for start in (1, 2, 3):
        board.says("slot b is on trial", start)
        board.says("this is version 2", start)
        gateway.offered = None
        board.restart()
    assert "3 starts" in gateway.hears_state("rolled_back")["error"]
    gateway.runs(1)


def test_a_gateway_that_does_not_greet_gets_the_old_program_back(
    board: Slotted, gateway: Gateway, broker: Mosquitto
) -> None:
    online(board, gateway, broker, UPDATE_DEADLINE_S=5)
    gateway.ignores_the_new = True
    gateway.offer(Image(bundle(program(2))))
    assert "did not reach the gateway" in gateway.hears_state("rolled_back")["error"]


def test_an_update_is_called_off(board: Slotted, gateway: Gateway, broker: Mosquitto) -> None:
    online(board, gateway, broker)

    def slow(offset: int, sent: Sent) -> None:
        sent.times = offset < 50_000

    gateway.meddle = slow
    gateway.offer(IMAGE)
    asks_behind(gateway, 49_999)
    gateway.offered = None
    gateway.say("MP-1", "down/firmware", {"job": "another", "abort": True})
    gateway.say("MP-1", "down/firmware", {"job": "job1", "abort": True})
    board.says("is off")
    wait_until(lambda: not (board.folder / "update.part").exists(), "no part file")
    asked = len(gateway.asked)
    gateway.runs(1)
    assert len(gateway.asked) == asked


def test_an_update_is_called_off_while_the_board_is_away(
    board: Slotted, gateway: Gateway, broker: Mosquitto
) -> None:
    online(board, gateway, broker)
    gateway.meddle = lambda offset, sent: setattr(sent, "times", offset < 50_000)
    gateway.offer(IMAGE)
    asks_behind(gateway, 49_999)
    board.cut_power()
    gateway.offered = {"job": "job1", "abort": True}
    board.start()
    wait_until(lambda: not (board.folder / "update.part").exists(), "no part file")


def test_another_assignment_in_the_middle(board: Slotted, gateway: Gateway, broker: Mosquitto) -> None:
    online(board, gateway, broker)
    gateway.meddle = lambda offset, sent: setattr(sent, "times", offset < 50_000)
    gateway.offer(Image(bundle(program(9), {"noise.bin": DATA}), "probe-9", "9"))
    asks_behind(gateway, 49_999)
    gateway.meddle = lambda offset, sent: None
    gateway.offer(IMAGE, "job2")
    updated(board, gateway)
    assert gateway.states("job1") == ["downloading"]
    assert gateway.states("job2") == BOARD_HAS


def test_a_forged_offer_does_not_disturb_a_download(
    board: Slotted, gateway: Gateway, broker: Mosquitto
) -> None:
    online(board, gateway, broker)

    def forge(offset: int, sent: Sent) -> None:
        if 40_000 < offset < 60_000:
            gateway.say("MP-1", "down/firmware", dict(gateway.offered, job="evil", hmac="0" * 64))

    gateway.meddle = forge
    gateway.offer(IMAGE)
    updated(board, gateway)
    assert gateway.asked.count(0) == 1
    assert not gateway.states("evil")


def test_the_gateway_goes_away_in_the_middle(board: Slotted, gateway: Gateway, broker: Mosquitto) -> None:
    online(board, gateway, broker)
    gateway.meddle = lambda offset, sent: time.sleep(0.02)
    gateway.offer(IMAGE)
    asks_behind(gateway, 30_000)
    broker.stop()
    board.says("no connection")
    broker.start()
    updated(board, gateway)
    assert gateway.asked.count(0) == 1


@pytest.mark.parametrize("way", ["http", "mqtt"])
def test_an_image_larger_than_the_memory(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """128 KiB where a word has 64 bits, and the library compiled, as on a small board."""
    small = [*micropython.command(), "-X", "heapsize=128k"]
    monkeypatch.setitem(INTERPRETERS, "small", lambda: small)
    board = Slotted(tmp_path / "board", "small")
    gateway = Gateway(broker.port, board)
    with serving(IMAGE.data) as files:
        online(board, gateway, broker, compiled=True)
        gateway.offer(IMAGE, url=files.url if way == "http" else "")
        updated(board, gateway)
    gateway.close()
    board.cut_power()
    assert gateway.asked.count(0) <= 1


def test_a_board_without_slots_says_so(board: Slotted, gateway: Gateway, broker: Mosquitto) -> None:
    where = {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": broker.port, "SERIAL": "MP-1"}
    board.install("", **where)
    (board.folder / "main.py").write_text(PROGRAM.replace("PAUSE", "1"))
    board.start()
    gateway.hears("MP-1/up/register")
    gateway.approve("MP-1")
    gateway.hears("MP-1/up/telemetry")
    gateway.offer(IMAGE)
    assert "has no slots" in gateway.hears_state("failed")["error"]
