"""The image on its way: links for one module alone, parts of any size, chunks with checksums, the probe."""

import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance.client import Client

from .device import PROBE, Board
from .world import Updates, eventually, open_updates, secrets_of

SIZE = 30_001
REFUSED = (400, 401, 403, 404, 409, 410)
NOTHING_S = 1.0


@dataclass
class Parcel:
    """An image that waits at its module's door: it is offered, and nothing has been fetched."""

    world: Updates
    board: Board
    image: dict[str, Any]
    job: dict[str, Any]
    offer: dict[str, Any]

    @property
    def data(self) -> bytes:
        return self.world.files[self.image["id"]]

    @property
    def plain(self) -> str:
        """The address without what makes it a link."""
        return f"{self.world.url}/fw/{self.job['id']}"

    def get(self, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.get(self.offer["url"], headers=named, timeout=20)

    def end(self) -> None:
        self.board.release()
        self.world.until(self.job, "confirmed")


def parcel_for(world: Updates, **manner: Any) -> Parcel:
    board = world.board(hold="offered", **manner)
    image = world.image(SIZE)
    job = world.assign(board.id, image)
    eventually(lambda: board.offers, "an offer")
    return Parcel(world, board, image, job, board.offers[-1])


@pytest.fixture(scope="module")
def parcel(world: Updates) -> Iterator[Parcel]:
    one = parcel_for(world)
    yield one
    one.end()


# The offer


def test_the_offer_is_whole(parcel: Parcel) -> None:
    offer, image = parcel.offer, parcel.image
    assert (offer["job"], offer["serial"], offer["version"]) == (
        parcel.job["id"], image["serial"], image["version"]
    )  # fmt: skip
    assert offer["digest"] == image["digest"] == "sha256:" + hashlib.sha256(parcel.data).hexdigest()
    assert offer["size"] == SIZE and 256 <= offer["chunk_max"] <= 4096
    assert offer["type"] == image["type"] and offer["url"].startswith("http")
    assert not parcel.board.refused
    assert len(json.dumps(offer)) < 2048, "small boards have 2 kB of buffer"


# Over HTTP


def test_the_whole_image(parcel: Parcel) -> None:
    answer = parcel.get()
    assert answer.status_code == 200 and answer.content == parcel.data
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.headers["accept-ranges"] == "bytes"
    assert re.fullmatch(r'"[^"]+"', answer.headers["etag"]), "a strong validator, or If-Range cannot work"
    assert "public" not in answer.headers.get("cache-control", "")


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=29999-", 29_999, SIZE),
        ("bytes=30000-", 30_000, SIZE),
        ("bytes=30000-99999999", 30_000, SIZE),
        ("bytes=-10", SIZE - 10, SIZE),
        ("bytes=-99999999", 0, SIZE),
        ("bytes=0-", 0, SIZE),
    ],
)
def test_parts(parcel: Parcel, asked: str, first: int, end: int) -> None:
    answer = parcel.get(Range=asked)
    assert answer.status_code == 206 and answer.content == parcel.data[first:end]
    assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - first)


NOT_THERE = [f"bytes={SIZE}-", "bytes=99999999-", f"bytes={SIZE}-{SIZE + 5}", "bytes=-0"]
SENSELESS = ["bytes=9-3", "bytes=a-b", "lines=1-2", "bytes", "bytes=", "bytes=--5", "bytes=1-2-3"]
NO_IMAGE = ["/fw", "/fw/", "/fw/..", "/fw/../data", "/fw/%2e%2e%2fpasserelle.db", "/fw/nobody"]


@pytest.mark.parametrize("asked", NOT_THERE)
def test_parts_that_are_not_there(parcel: Parcel, asked: str) -> None:
    answer = parcel.get(Range=asked)
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize("asked", SENSELESS)
def test_parts_that_make_no_sense(parcel: Parcel, asked: str) -> None:
    """Ignored, or refused; never a wrong part."""
    answer = parcel.get(Range=asked)
    assert answer.status_code in (200, 400, 416)
    assert answer.status_code != 200 or answer.content == parcel.data


def test_many_parts_at_once(parcel: Parcel) -> None:
    answer = parcel.get(Range="bytes=" + ",".join(f"{first}-{first + 1}" for first in range(0, 2000, 4)))
    assert answer.status_code in (200, 206, 400, 416) and len(answer.content) < 3 * SIZE
    assert answer.status_code != 200 or answer.content == parcel.data


def test_the_rest_only_of_the_same_image(parcel: Parcel) -> None:
    etag = parcel.get().headers["etag"]
    same = parcel.get(Range="bytes=100-", If_Range=etag)
    assert (same.status_code, same.content) == (206, parcel.data[100:])
    other = parcel.get(Range="bytes=100-", If_Range='"another"')
    assert (other.status_code, other.content) == (200, parcel.data)


def test_its_own_token_opens(parcel: Parcel) -> None:
    answer = httpx.get(parcel.plain, headers={"Authorization": "Bearer " + parcel.board.token})
    assert answer.status_code == 200 and answer.content == parcel.data


def test_nobody_else_s_does(parcel: Parcel) -> None:
    world = parcel.world
    other = world.board(starts=False)
    _, controller = world.service("controller")
    doors = {
        "nobody": {},
        "another module": {"Authorization": "Bearer " + other.token},
        "a program": {"Authorization": "Bearer " + controller},
        "nonsense": {"Authorization": "Bearer x"},
        "empty": {"Authorization": "Bearer"},
        "a person": {"Authorization": world.api.headers["Authorization"]},
    }
    for who, headers in doors.items():
        answer = httpx.get(parcel.plain, headers=headers)
        assert answer.status_code in REFUSED, who
        assert answer.content[:20] not in parcel.data


def tampered(url: str) -> Iterator[str]:
    """One character changed, at many places behind the job; and ends cut off."""
    start = url.index("/fw/") + 4
    start += re.match(r"[A-Za-z0-9]*", url[start:]).end()
    for place in range(start, len(url), 3):
        if url[place].isalnum():
            yield url[:place] + ("A" if url[place] != "A" else "B") + url[place + 1 :]
    yield url[:-1]
    yield url[:-8]
    yield url + "A"


def test_a_link_that_was_changed(parcel: Parcel) -> None:
    wrong = [link for link in tampered(parcel.offer["url"]) if httpx.get(link).status_code not in REFUSED]
    # The last characters of base64 may hold bits that mean nothing.
    assert wrong == []


def test_the_link_of_another_job(parcel: Parcel) -> None:
    other = parcel_for(parcel.world)
    mixed = parcel.offer["url"].replace(parcel.job["id"], other.job["id"])
    assert mixed != parcel.offer["url"]
    assert httpx.get(mixed).status_code in REFUSED
    other.end()
    assert httpx.get(other.offer["url"]).status_code in REFUSED, "it worked after its job had ended"
    by_token = httpx.get(other.plain, headers={"Authorization": "Bearer " + other.board.token})
    assert by_token.status_code in REFUSED


def test_the_link_of_a_cancelled_job(world: Updates) -> None:
    one = parcel_for(world)
    assert one.get().status_code == 200
    world.call("POST", f"/firmware/jobs/{one.job['id']}/cancel")
    assert one.get().status_code in REFUSED


def test_the_link_of_a_module_that_was_revoked(world: Updates) -> None:
    one = parcel_for(world)
    world.call("POST", f"/modules/{one.board.id}/revoke")
    assert one.get().status_code in REFUSED
    one.board.stop()


@pytest.mark.parametrize("path", NO_IMAGE)
def test_no_list_and_no_other_file(parcel: Parcel, path: str) -> None:
    answer = httpx.get(parcel.world.url + path, headers={"Authorization": "Bearer " + parcel.board.token})
    assert answer.status_code in (303, *REFUSED) and parcel.job["id"] not in answer.text


def test_a_refusal_does_not_repeat_the_link(parcel: Parcel) -> None:
    for secret in secrets_of(parcel.offer):
        wrong = parcel.offer["url"][:-4] + "AAAA"
        assert secret[:-4] not in httpx.get(wrong).text


# Over MQTT


@pytest.fixture(scope="module")
def line(world: Updates) -> Iterator[tuple[Parcel, Client]]:
    """A module whose script has stopped with its image on offer; its words are typed by hand."""
    one = parcel_for(world)
    one.board.stop()
    with world.line(one.board) as client:
        client.subscribe((f"gw/1/{one.board.id}/down/#", 1))
        client.publish(f"gw/1/{one.board.id}/up/register", b"", qos=1)
        say(one, client, "downloading")
        client.messages.clear()
        yield one, client
    world.call("POST", f"/firmware/jobs/{one.job['id']}/cancel")


def say(one: Parcel, client: Client, state: str, **more: Any) -> None:
    word = {"job": one.job["id"], "state": state, "received": 0} | more
    client.publish(f"gw/1/{one.board.id}/up/firmware", json.dumps(word).encode(), qos=1)


def ask(one: Parcel, client: Client, **words: Any) -> None:
    client.publish(f"gw/1/{one.board.id}/up/chunk", json.dumps({"job": one.job["id"]} | words).encode())


def chunks(client: Client, wait_s: float = 5.0) -> list[Any]:
    """What comes, until the first has; or nothing in all the time."""
    client.idle(0.05)
    end = wait_s
    while end > 0 and not [m for m in client.messages if "/down/chunk/" in m.topic]:
        client.idle(0.2)
        end -= 0.2
    found = [message for message in client.messages if "/down/chunk/" in message.topic]
    client.messages.clear()
    return found


@pytest.mark.parametrize("length", [256, 257, 1000, 1024, 4096])
@pytest.mark.parametrize("offset", [0, 1, 12_345, SIZE - 100])
def test_a_chunk(line: tuple[Parcel, Client], length: int, offset: int) -> None:
    one, client = line
    ask(one, client, offset=offset, length=length)
    (message,) = chunks(client)
    assert message.topic == f"gw/1/{one.board.id}/down/chunk/{one.job['id']}/{offset}"
    data = message.payload[4:]
    assert data == one.data[offset : offset + length][: len(data)]
    assert len(data) == min(length, SIZE - offset, one.offer["chunk_max"])
    assert message.payload[:4] == zlib.crc32(data).to_bytes(4, "big")
    assert (message.qos, message.retain) == (0, False)


@pytest.mark.parametrize("offset", [SIZE, SIZE + 1, 10 * SIZE])
def test_behind_the_end(line: tuple[Parcel, Client], offset: int) -> None:
    one, client = line
    ask(one, client, offset=offset, length=1024)
    (message,) = chunks(client)
    assert message.payload == bytes(4)


BAD_ASKS: list[dict[str, Any]] = [
    {"offset": 0, "length": 255}, {"offset": 0, "length": 4097}, {"offset": 0, "length": 0},
    {"offset": 0, "length": -1024}, {"offset": -1, "length": 1024}, {"offset": "0", "length": 1024},
    {"offset": 0, "length": "1024"}, {"offset": 0.5, "length": 1024}, {"offset": 0, "length": 1e99},
    {"offset": 2**70, "length": 1024}, {"offset": True, "length": 1024}, {"offset": 0}, {"length": 1024}, {},
    {"offset": None, "length": None}, {"offset": [0], "length": {}},
    {"offset": 0, "length": 1024, "job": "nobody"}, {"offset": 0, "length": 1024, "job": 7},
    {"offset": 0, "length": 1024, "job": ""}, {"offset": 0, "length": 1024, "job": "../x"},
    {"offset": 0, "length": 1024, "job": "+"},
]  # fmt: skip


def test_asks_that_make_no_sense(line: tuple[Parcel, Client]) -> None:
    """Nothing comes (but perhaps the end for what lies far behind it), and the session lives."""
    one, client = line
    for words in BAD_ASKS:
        ask(one, client, **words)
    for raw in (b"", b"{", b"[]", b"null", b"7", b"\xff\xfe", b'"x"', b"[" * 5000):
        client.publish(f"gw/1/{one.board.id}/up/chunk", raw)
    found = [message for message in chunks(client, NOTHING_S) if message.payload != bytes(4)]
    assert found == []
    ask(one, client, offset=0, length=1024)
    assert len(chunks(client)) == 1


def test_another_module_s_chunks(line: tuple[Parcel, Client]) -> None:
    one, client = line
    other = parcel_for(one.world)
    ask(one, client, job=other.job["id"], offset=0, length=1024)
    assert chunks(client, NOTHING_S) == []
    other.end()


def test_chunks_of_a_cancelled_job(world: Updates) -> None:
    one = parcel_for(world)
    one.board.stop()
    with world.line(one.board) as client:
        client.subscribe((f"gw/1/{one.board.id}/down/#", 1))
        client.publish(f"gw/1/{one.board.id}/up/register", b"", qos=1)
        world.call("POST", f"/firmware/jobs/{one.job['id']}/cancel")
        ask(one, client, offset=0, length=1024)
        assert chunks(client, NOTHING_S) == []


def test_a_message_is_never_pushed_unasked(line: tuple[Parcel, Client]) -> None:
    _, client = line
    assert chunks(client, NOTHING_S) == []


# The probe


def test_the_probe_comes_with_the_first_image_only(world: Updates) -> None:
    board = world.board()
    world.until(world.assign(board.id, world.image()), "confirmed")
    first = board.offers[0]
    probe = first["probe"]
    assert probe["size"] == 1024
    assert probe["digest"] == "sha256:" + hashlib.sha256(PROBE).hexdigest()
    assert board.probed == [{"http": True, "mqtt": True}]
    world.until(world.assign(board.id, world.image()), "confirmed")
    assert not board.offers[-1].get("probe") and len(board.probed) == 1


def test_the_probe_is_evidence(world: Updates) -> None:
    board = world.board(transport="mqtt")
    job = world.assign(board.id, world.image())
    world.until(job, "confirmed")
    story = json.dumps([step for step in world.job(job)["history"] if step["state"] == "downloading"])
    assert "mqtt" in story.lower(), story


def test_an_address_that_nobody_else_can_reach_is_not_advertised(tmp_path: Path) -> None:
    """A name of the container itself, as a gateway behind Docker would take for its own."""
    with open_updates(tmp_path, public_url="http://0.0.0.0:8080") as world:
        board = world.board()
        world.until(world.assign(board.id, world.image()), "confirmed")
        assert {offer["url"] for offer in board.offers} == {""}
