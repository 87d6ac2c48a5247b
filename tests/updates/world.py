"""A started gateway with a catalogue of firmware, scripted modules, and people who assign it."""

import itertools
import json
import random
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from tests.conformance.client import Client
from tests.dialects.world import BELL, STUMBLE, World
from tests.faults.house import House
from tests.gateway_process import wait_until

from .device import Board, Firmware, Manner

BELL_TYPE, GENERIC = int(BELL["code"]), 7
SWIFT = {"reconcile_every": 0.3, "probation": 1, "update_retry": 0.3}
ENDED = ("confirmed", "failed", "rolled_back", "cancelled")
IN_ORDER = ("assigned", "offered", "downloading", "downloaded", "verified", "installing", "confirmed")
WITHIN_S = 30
# What of a link is neither its job nor a word.
SECRET_OF_LINK = re.compile(r"[A-Za-z0-9_.~-]{20,}")
_versions = itertools.count(1)


def content(size: int) -> bytes:
    """Bytes that no kind of image begins with, new each time."""
    return b"passerelle test image\n" + random.randbytes(size - 22)


class Updates(World):
    """`files`: the bytes of each image by its number."""

    def __init__(self, gateway: House, api: httpx.Client) -> None:
        super().__init__(gateway, api)
        self.house = gateway
        self.files: dict[int, bytes] = {}
        self.boards: list[Board] = []
        self.expected = ""  # a complaint in the log that the test has brought about

    # Firmware

    def upload(self, data: bytes, status: int = 201, **facts: Any) -> dict[str, Any]:
        number = next(_versions)
        words = {"serial": f"bell-{number}-{secrets.token_hex(3)}", "version": f"1.{number}.0"}
        words |= {"type": BELL_TYPE, "notes": ""} | facts
        fields = {name: str(value) for name, value in words.items() if value is not None}
        image = self.call("POST", "/firmware", status, data=fields, files={"file": ("bell.bin", data)})
        if status == 201:
            self.files[image["id"]] = data
        return image

    def image(self, size: int = 20_000, **facts: Any) -> dict[str, Any]:
        return self.upload(content(size), **facts)

    def assign(self, id: str, image: dict[str, Any], status: int = 200, **more: Any) -> dict[str, Any]:
        """The job, or None where it runs that already."""
        body = {"firmware_id": image["id"]} | more
        answer = self.call("PUT", f"/modules/{id}/firmware", status, json=body)
        return answer["job"] if status == 200 else answer

    def job(self, job: dict[str, Any] | str) -> dict[str, Any]:
        return self.call("GET", f"/firmware/jobs/{job if isinstance(job, str) else job['id']}")

    def jobs(self, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after: dict[str, Any] = {}
        while True:
            page = self.call("GET", "/firmware/jobs", params={"limit": 100} | query | after)
            found += page["items"]
            if not page["next"]:
                return found
            after = {"cursor": page["next"]}

    def ask_job(self, job: dict[str, Any], action: str, **more: Any) -> dict[str, Any]:
        answer = self.call("POST", f"/firmware/jobs/{job['id']}/{action}", json=more)
        return answer["job"]

    def until(self, job: dict[str, Any] | str, *states: str, within_s: float = WITHIN_S) -> dict[str, Any]:
        """The job as soon as it is in one of these states; any other end is a failure."""
        seen: dict[str, Any] = {}

        def there() -> bool:
            seen.update(self.job(job))
            state = seen["state"]
            assert state in states or state not in ENDED, (states, seen)
            return state in states

        try:
            wait_until(there, f"{states}", within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; the job is {json.dumps(self.job(job))[:3000]}") from None
        return seen

    def states(self, job: dict[str, Any] | str) -> list[str]:
        return [step["state"] for step in self.job(job)["history"]]

    # Modules

    def board(
        self, runs: dict[str, Any] | None = None, *, type: int = BELL_TYPE, hardware: str = "",
        starts: bool = True, **manner: Any,
    ) -> Board:  # fmt: skip
        """An approved module that runs this image; started unless told otherwise."""
        serial = self.serial("B")
        known = self.enrolled(serial, type, hardware) if hardware else self.approved(serial, type)
        firmware = firmware_of(runs) if runs else None
        board = Board(
            self.url, self.mqtt_port, *known, type=type, hardware=hardware, runs=firmware,
            manner=replace(Manner(), **manner),
        )  # fmt: skip
        self.boards.append(board)
        if starts:
            board.start()
        return board

    def enrolled(self, serial: str, type: int, hardware: str) -> tuple[str, str]:
        """Over MQTT, where a module says its hardware."""
        answer = self.ask_in(type=type, serial=serial, hardware=hardware)
        self.approve(answer["id"])
        return answer["id"], answer["token"]

    def ask_in(self, **words: Any) -> dict[str, Any]:
        """What a registration over MQTT is answered."""
        nonce = secrets.token_hex(8)
        with Client(self.mqtt_port, nonce) as newcomer:
            newcomer.subscribe((f"gw/1/register/{nonce}/reply", 1))
            newcomer.publish(f"gw/1/register/{nonce}", json.dumps(words).encode(), qos=1)
            answer = json.loads(newcomer.one().payload)
        if "token" in answer:
            self.secrets.add(answer["token"])
        return answer

    def online(self, *boards: Board) -> None:
        for board in boards:
            self.becomes(board.id, "online")

    def line(self, board: Board) -> Client:
        """A session of a module whose script does not run, to say anything by hand."""
        return Client(self.mqtt_port, board.id, user=board.id, password=board.token.encode())

    # What holds at the end of every test

    def finish(self) -> None:
        for board in self.boards:
            board.stop()
        for board in self.boards:
            for offer in board.offers:
                self.secrets |= secrets_of(offer)
        faults = {board.id: board.faults for board in self.boards if board.faults}
        assert not faults, faults
        lines = self.house.printed + self.house.lines
        stumbles = [line for line in lines if STUMBLE.search(line)]
        if self.expected:
            stumbles = [line for line in stumbles if self.expected not in line]
        assert not stumbles, "\n".join(lines[-80:])
        text = "\n".join(lines)
        assert not [secret for secret in self.secrets if secret in text], "a secret is in the log"


def secrets_of(offer: dict[str, Any]) -> set[str]:
    """What of an offer's link lets anybody in."""
    found = SECRET_OF_LINK.findall(offer["url"].partition("/fw/")[2])
    return {word for word in found if word != offer["job"]}


def firmware_of(image: dict[str, Any]) -> Firmware:
    return Firmware(image["serial"], image["version"], image["digest"])


def eventually(true: Callable[[], Any], what: str, within_s: float = WITHIN_S) -> Any:
    return wait_until(true, what, within_s)


@contextmanager
def open_updates(folder: Path, **settings: Any) -> Iterator[Updates]:
    """Modules find the gateway under the address that people use."""
    with House(folder, **SWIFT | settings) as house:
        with house.api() as api:
            world = Updates(house, api)
            try:
                yield world
            except BaseException:
                for board in world.boards:
                    board.stop()
                print(*(vars_of(board) for board in world.boards), sep="\n")
                raise
            else:
                world.finish()
            finally:
                world.close()


def vars_of(board: Board) -> str:
    return (
        f"{board.id}: phase {board.phase}, words {board.words[-6:]}, refused {board.refused}, "
        f"faults {board.faults}, begun {board.begun}, installs {len(board.installs)}, "
        f"errors {list(board.errors)[-3:]}"
    )
