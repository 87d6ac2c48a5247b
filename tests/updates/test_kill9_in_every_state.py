"""Killed in every state of the ledger, the gateway goes on where it was: nothing lost, nothing done twice."""

import itertools
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from .device import MOMENTS, Board
from .rollouts import Fleet, begin, ends, members
from .world import BELL_TYPE, ENDED, Updates, content, eventually, open_updates, vars_of

SIZE = 200_000
MANY = 50
WAYS = ("http", "mqtt")
# What the gateway can know of a moment.
TOLD = {"whole": "downloading", "rebooted": "installing"}
REACHED = {"rebooted": ("rebooted", "installing"), "downloading": ("held",)}


def again(world: Updates) -> None:
    world.house.kill9()
    world.house.start()


def confirmed_once(world: Updates, board: Board, job: dict[str, Any]) -> None:
    world.until(job, "confirmed", within_s=60)
    assert world.states(job).count("confirmed") == 1
    assert len(board.installs) == 1, (board.id, board.installs)
    assert board.jobs == [job["id"]], "another job was made for the same"
    starts = [start for _, start in board.begun]
    assert starts.count(0) == 1, f"the download was begun again: {starts}"
    (kept,) = world.jobs(module=board.id)
    assert kept["id"] == job["id"]


def test_kill9_in_every_state(tmp_path: Path) -> None:
    """A module in each of them, by either way, and those that have ended; all go on after the same kill."""
    with open_updates(tmp_path, probation=2) as world:
        old, new, bad = world.image(), world.image(SIZE), world.image()
        waiting: dict[tuple[str, str], Board] = {}
        for way in WAYS:
            for moment in MOMENTS[:-1]:
                waiting[moment, way] = world.board(old, transport=way, hold=moment)
            # Killed between its coming back and its confirmation.
            waiting["rebooted", way] = world.board(old, transport=way, hold="installing")
            waiting["assigned", way] = world.board(old, transport=way, starts=False)
        done = {
            "confirmed": world.board(old), "failed": world.board(old, failures=99),
            "cancelled": world.board(old, hold="offered"),
            "rolled_back": world.board(old, bad_images=frozenset({bad["digest"]})),
        }  # fmt: skip
        world.online(*(board for board in world.boards if board.is_alive()))
        ended = {name: world.assign(board.id, bad) for name, board in done.items()}
        jobs = {name: world.assign(board.id, new) for name, board in waiting.items()}
        eventually(lambda: done["cancelled"].offers, "an offer")
        world.call("POST", f"/firmware/jobs/{ended['cancelled']['id']}/cancel")
        for name, job in ended.items():
            world.until(job, name, within_s=60)
        for (moment, way), board in waiting.items():
            if moment != "assigned":
                eventually(lambda b=board, m=moment: reached(b, m), f"{moment} by {way}: {board.phase}", 60)
        for way in WAYS:
            waiting["rebooted", way].release()
        eventually(lambda: all(len(waiting["rebooted", way].hellos) > 1 for way in WAYS), "they came back")
        before = {name: world.job(job)["state"] for name, job in jobs.items()}
        for (moment, way), state in before.items():
            assert state == TOLD.get(moment, moment), (moment, way, state)
        again(world)
        for name, job in jobs.items():
            state = world.job(job)["state"]
            assert state == before[name] or state not in ENDED, (name, before[name], state)
        for name, job in ended.items():
            assert world.job(job)["state"] == name
        for (moment, _), board in waiting.items():
            if moment == "assigned":
                board.start()
            board.release()
        for name, board in waiting.items():
            confirmed_once(world, board, jobs[name])
        for name, job in ended.items():
            assert world.job(job)["state"] == name
            assert done[name].jobs == [job["id"]] and len(done[name].installs) <= 1, name


def reached(board: Board, moment: str) -> bool:
    return board.phase in REACHED.get(moment, (moment,))


def test_a_kill_right_after_each_word(tmp_path: Path) -> None:
    """What was acknowledged to a module is kept: killed at once after each word, it goes on from there."""
    with open_updates(tmp_path) as world:
        old, tiny, large = world.image(), world.image(3000), world.image(50_000)
        images = [(way, image) for way in WAYS for image in (tiny, large)]
        boards = [world.board(old, transport=way, hold="offered") for way, _ in images]
        jobs = [world.assign(board.id, image) for board, (_, image) in zip(boards, images, strict=True)]
        for here, further in itertools.pairwise(MOMENTS):
            try:
                eventually(lambda now=here: all(reached(board, now) for board in boards), f"they are {here}")
            except AssertionError as error:
                raise AssertionError(f"{error}: {[vars_of(board) for board in boards]}") from None
            world.house.kill9()
            for board in boards:
                board.hold(further)
            world.house.start()
            eventually(lambda: all(board.line is not None for board in boards), "they are back")
            for board, job in zip(boards, jobs, strict=True):
                now = world.job(job)
                assert now["state"] not in ENDED, f"killed when it was {here}: {now}; {vars_of(board)}"
        for board, job in zip(boards, jobs, strict=True):
            confirmed_once(world, board, job)


def test_a_kill_right_after_the_last_byte(tmp_path: Path) -> None:
    """The gateway did not live to write down that it sent anything; the module has it all, and is no liar."""
    with open_updates(tmp_path) as world:
        old, tiny = world.image(), world.image(3000)
        boards = [world.board(old, transport=way, hold="offered", chunk=4096) for way in WAYS]
        jobs = [world.assign(board.id, tiny) for board in boards]
        eventually(lambda: all(reached(board, "offered") for board in boards), "they have their offers")
        for board in boards:
            board.hold("whole")
        while not any(reached(board, "whole") for board in boards):
            time.sleep(0.001)
        world.house.kill9()
        for board in boards:
            board.release()
        world.house.start()
        for board, job in zip(boards, jobs, strict=True):
            world.until(job, "confirmed", within_s=60)
            assert len(board.installs) == 1 and board.jobs == [job["id"]]


def test_a_kill_during_an_upload(tmp_path: Path) -> None:
    with open_updates(tmp_path) as world:
        world.expected = "does not hold what was uploaded"
        data, spoiled = content(8_000_000), world.image()
        begun = threading.Event()

        def slowly() -> Any:
            yield head
            for place in range(0, len(data), 100_000):
                yield data[place : place + 100_000]
                if place > 4_000_000:
                    begun.set()
                    time.sleep(0.2)
            yield b"\r\n--x--\r\n"

        fields = {"serial": "bell-k", "version": "1", "type": str(BELL_TYPE), "notes": ""}
        head = b"".join(
            f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        )
        head += b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
        headers = dict(world.api.headers) | {"content-type": "multipart/form-data; boundary=x"}

        def send() -> None:
            try:
                httpx.post(world.url + "/api/v1/firmware", content=slowly(), headers=headers, timeout=60)
            except httpx.HTTPError:
                begun.set()

        sender = threading.Thread(target=send)
        sender.start()
        assert begun.wait(30)
        world.house.kill9()
        sender.join(60)
        # While it is down, another image rots on the disk.
        kept = world.house.data / "firmware" / spoiled["digest"].removeprefix("sha256:")
        kept.write_bytes(b"x" + kept.read_bytes()[1:])
        world.house.start()
        assert [image["id"] for image in world.call("GET", "/firmware")["items"]] == [spoiled["id"]]
        eventually(lambda: left_over(world) == [], f"half an image is left: {left_over(world)}")
        image = world.upload(data, serial="bell-k")
        board, other = world.board(), world.board()
        answer = world.api.put(f"/modules/{other.id}/firmware", json={"firmware_id": spoiled["id"]})
        world.until(world.assign(board.id, image), "confirmed")
        assert not other.installs, "a damaged image was sent"
        if answer.is_success:
            job = world.job(answer.json()["job"])
            assert "damage" in str(job).lower(), job
        else:
            assert "damage" in answer.json()["detail"].lower()


def left_over(world: Updates) -> list[Path]:
    return [path for path in (world.house.data / "firmware").rglob("*") if path.stat().st_size > 1_000_000]


def test_a_kill_in_the_middle_of_fifty_assignments(tmp_path: Path) -> None:
    with open_updates(tmp_path) as world:
        image = world.image()
        accounts = world.house.declare({f"MANY-{number}": BELL_TYPE for number in range(MANY)})
        world.secrets |= {account.token for account in accounts.values()}
        answered: dict[str, str] = {}

        def assign() -> None:
            for id in accounts:
                try:
                    answered[id] = world.assign(id, image)["id"]
                except httpx.HTTPError:
                    return

        clerk = threading.Thread(target=assign)
        clerk.start()
        eventually(lambda: len(answered) > MANY // 4, "some are assigned")
        again(world)
        clerk.join(60)
        assert len(answered) < MANY, "the kill came too late to show anything"
        known = {job["module"]: job for job in world.jobs()}
        assert len(world.jobs()) == len(known)
        assert {id: job for id, job in answered.items() if known[id]["id"] != job} == {}
        for id in accounts:
            job = world.assign(id, image)
            assert answered.get(id, job["id"]) == job["id"] == known.get(id, job)["id"]
        assert len(world.jobs()) == MANY
        boards = [
            Board(world.url, world.mqtt_port, account.id, account.token, type=BELL_TYPE)
            for account in list(accounts.values())[:20]
        ]
        world.boards += boards
        for board in boards:
            board.start()
        final = {job["module"]: job for job in world.jobs()}
        for board in boards:
            confirmed_once(world, board, final[board.id])


def test_kills_during_a_rollout(tmp_path: Path) -> None:
    """At each moment of the canary and of the rest; the counts are right and nobody gets it twice."""
    with open_updates(tmp_path) as world:
        fleet = Fleet(world, 6, pace_s=0.005, piece=2048)
        canary = fleet.boards[0]
        image = world.image(100_000)
        rollout = begin(world, fleet, image, waves=[{"modules": [canary.id]}, {"rest": True}], concurrency=3)
        moments = {
            "the canary has its offer": lambda: canary.offers,
            "the rest begin": lambda: sum(bool(board.offers) for board in fleet.boards) > 1,
            "half is done": lambda: sum(bool(board.installs) for board in fleet.boards) > 3,
        }
        for moment, come in moments.items():
            eventually(come, moment, 60)
            again(world)
            states = members(world, rollout).values()
            assert len(states) == 6 and "failed" not in states, states
        ends(world, rollout, "done", within_s=60)
        assert set(members(world, rollout).values()) == {"confirmed"}
        for board in fleet.boards:
            assert (len(board.installs), len(board.jobs)) == (1, 1), board.id
        assert len(world.jobs()) == 6
