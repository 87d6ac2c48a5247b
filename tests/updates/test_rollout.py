"""Rollouts over REST with twelve scripted modules: canaries first, stop at the threshold, back again."""

import time
from typing import Any

import httpx
import pytest

from .rollouts import PLAN, Fleet, begin, do, ends, members, rollout_of, under_way
from .world import GENERIC, Updates, eventually

FLEET, FEW, STOP, AT_ONCE = 12, 5, 2, 3
QUIET_S = 1.0


@pytest.fixture
def fleet(world: Updates) -> Any:
    with Fleet(world, FLEET) as made:
        yield made


@pytest.fixture
def few(world: Updates) -> Any:
    with Fleet(world, FEW) as made:
        yield made


def test_a_good_image_reaches_everybody(world: Updates, fleet: Fleet) -> None:
    """Canary, half of them, the rest; no wave begins before the last is confirmed; never too many at once."""
    image = world.image()
    canary = fleet.boards[5]
    waves = [{"modules": [canary.id]}, {"percent": 50}, {"rest": True}]
    rollout = begin(world, fleet, image, waves=waves, concurrency=AT_ONCE)
    most = 0
    while rollout_of(world, rollout)["state"] == "running":
        found = members(world, rollout)
        most = max(most, sum(state == "running" for state in found.values()))
        if found[canary.id] != "confirmed":
            later = [board for board in fleet.boards if board is not canary and board.offers]
            assert not later or members(world, rollout)[canary.id] == "confirmed", "before the canary was"
        time.sleep(0.05)
    end = rollout_of(world, rollout)
    assert end["state"] == "done", f"{end['reason']} {end['members']}"
    assert 1 <= most <= AT_ONCE
    assert set(members(world, rollout).values()) == {"confirmed"}
    assert {fleet.runs(id) for id in fleet.ids} == {image["serial"]}
    assert {len(board.installs) for board in fleet.boards} == {1}


@pytest.mark.parametrize("on_stop", ["revert", "pause"])
def test_a_bad_image_stops_at_the_threshold(world: Updates, fleet: Fleet, on_stop: str) -> None:
    """It installs but does not start; every second module can run it."""
    bad = world.image()
    for board in fleet.boards[::2]:
        board.manner = type(board.manner)(bad_images=frozenset({bad["digest"]}))
    rollout = begin(world, fleet, bad, stop={"count": STOP}, on_stop=on_stop, concurrency=AT_ONCE)
    if on_stop == "revert":
        ends(world, rollout, "reverted")
        left = set(members(world, rollout).values())
        assert left <= {"reverted", "rolled_back", "skipped", "waiting", "cancelled"}
        assert {fleet.runs(id) for id in fleet.ids} == {fleet.old["serial"]}
    else:
        ends(world, rollout, "stopped", "paused")
    time.sleep(QUIET_S)
    states = list(members(world, rollout).values())
    # Good ones that came in between do not count: each bad one can have met up to so many.
    bad_ones = [id for id in fleet.installed(bad) if id in fleet.ids[::2]]
    assert STOP <= len(bad_ones) <= STOP + AT_ONCE - 1
    # One that went back by itself has nothing to be reverted; it may be called either.
    assert len(bad_ones) <= states.count("rolled_back") + states.count("reverted")
    assert len(fleet.offered(bad)) < FLEET
    assert "2" in rollout_of(world, rollout)["reason"] or rollout_of(world, rollout)["reason"]


def test_a_bad_image_stops_all_of_it(world: Updates, fleet: Fleet) -> None:
    """Nobody can run it: at most the threshold and those in flight ever get it."""
    bad = world.image()
    for board in fleet.boards:
        board.manner = type(board.manner)(bad_images=frozenset({bad["digest"]}))
    rollout = begin(world, fleet, bad, stop={"count": STOP}, on_stop="revert", concurrency=AT_ONCE)
    ends(world, rollout, "reverted")
    time.sleep(QUIET_S)
    assert STOP <= len(fleet.offered(bad)) <= STOP + AT_ONCE
    assert {fleet.runs(id) for id in fleet.ids} == {fleet.old["serial"]}
    assert under_way(world, rollout) == []


def test_a_bad_canary_stops_the_rest(world: Updates, few: Fleet) -> None:
    bad = world.image()
    canary = few.boards[0]
    canary.manner = type(canary.manner)(bad_images=frozenset({bad["digest"]}))
    waves = [{"modules": [canary.id]}, {"rest": True}]
    rollout = begin(world, few, bad, waves=waves, stop={"count": 5}, on_stop="pause")
    eventually(lambda: members(world, rollout)[canary.id] == "rolled_back", "the canary came back")
    time.sleep(QUIET_S)
    assert few.offered(bad) == [canary.id]
    assert rollout_of(world, rollout)["state"] in ("stopped", "paused")


def test_pause_and_resume(world: Updates, few: Fleet) -> None:
    image = world.image()
    for board in few.boards:
        board.hold("downloading")
    rollout = begin(world, few, image, concurrency=2)
    eventually(lambda: len(few.offered(image)) == 2, "two are offered")
    do(world, rollout, "pause")
    assert rollout_of(world, rollout)["state"] == "paused"
    for board in few.boards:
        board.release()
    time.sleep(QUIET_S)
    assert len(few.offered(image)) == 2, "it went on while it was paused"
    do(world, rollout, "resume")
    ends(world, rollout, "done")
    assert {len(board.installs) for board in few.boards} == {1}


def test_cancel(world: Updates, few: Fleet) -> None:
    image = world.image()
    for board in few.boards:
        board.hold("downloading")
    rollout = begin(world, few, image, concurrency=2)
    eventually(lambda: sum(board.phase == "held" for board in few.boards) == 2, "two are half-way")
    do(world, rollout, "cancel")
    ends(world, rollout, "cancelled")
    eventually(lambda: sum(len(board.aborts) for board in few.boards) >= 2, "they are told", 10)
    for board in few.boards:
        board.release()
    time.sleep(QUIET_S)
    assert few.installed(image) == [] and len(few.offered(image)) == 2
    assert under_way(world, rollout) == []
    assert "running" not in members(world, rollout).values()


def test_retry_those_that_failed(world: Updates, few: Fleet) -> None:
    image = world.image()
    weak = few.boards[:2]
    for board in weak:
        board.manner = type(board.manner)(bad_images=frozenset({image["digest"]}))
    rollout = begin(world, few, image, stop={"count": 9}, success_percent=50)
    eventually(
        lambda: sorted(members(world, rollout).values()) == ["confirmed"] * 3 + ["rolled_back"] * 2,
        f"three and two: {members(world, rollout)}", 40,
    )  # fmt: skip
    for board in weak:
        board.manner = type(board.manner)()
    do(world, rollout, "retry", override=True)
    eventually(lambda: set(members(world, rollout).values()) == {"confirmed"}, "all of them", 40)
    assert {len(board.installs) for board in few.boards[2:]} == {1}, "it was done again where it had worked"


def test_revert_all(world: Updates, few: Fleet) -> None:
    image = world.image()
    rollout = begin(world, few, image)
    ends(world, rollout, "done")
    do(world, rollout, "revert")
    eventually(lambda: rollout_of(world, rollout)["state"] == "reverted", "it is reverted", 40)
    assert set(members(world, rollout).values()) == {"reverted"}
    assert {few.runs(id) for id in few.ids} == {few.old["serial"]}
    assert {tuple(board.installs) for board in few.boards} == {(image["digest"], few.old["digest"])}


def test_plans_that_make_no_sense(world: Updates) -> None:
    board, image = world.board(starts=False), world.image()
    good = {"name": "x", "firmware_id": image["id"], "modules": [board.id]} | PLAN
    bad: list[dict[str, Any]] = [
        {"firmware_id": 99_999}, {"firmware_id": "x"}, {"modules": ["nobody"]}, {"modules": []},
        {"modules": "x"}, {"waves": []}, {"waves": [{"percent": 0}]}, {"waves": [{"percent": 101}]},
        {"waves": [{"percent": -5}]}, {"waves": [{}]}, {"waves": [{"modules": ["nobody"]}]}, {"waves": 7},
        {"wait_s": -1}, {"success_percent": 101}, {"success_percent": -1}, {"stop": {"count": -1}},
        {"stop": {"percent": 101}}, {"stop": {}}, {"on_stop": "explode"}, {"concurrency": 0},
        {"concurrency": -1}, {"window": {"days": [7], "from": "22:00", "to": "05:00"}},
        {"window": {"days": [1], "from": "25:00", "to": "05:00"}}, {"window": {"days": [], "from": "x"}},
        {"never_both": [[board.id]]}, {"never_both": [["nobody", board.id]]}, {"name": "x" * 5000},
        {"guards": {"min_battery": "x"}}, {"group": "x"},
    ]  # fmt: skip
    accepted = []
    for words in bad:
        answer = world.api.post("/rollouts", json=good | words)
        assert answer.status_code < 500, (words, answer.text)
        if answer.is_success:
            accepted.append(words)
            do(world, answer.json(), "cancel")
        else:
            assert len(answer.json()["detail"]) > 10, words
    assert accepted == []


def test_of_another_type_or_in_another_rollout(world: Updates) -> None:
    """A module whose type does not fit is skipped or refused, with the reason; never updated."""
    board = world.board()
    image = world.image(type=GENERIC)
    body = {"name": "x", "firmware_id": image["id"], "modules": [board.id]} | PLAN
    answer = world.api.post("/rollouts", json=body)
    if answer.is_success:
        eventually(lambda: members(world, answer.json())[board.id] == "skipped", "it is skipped")
        (member,) = rollout_of(world, answer.json())["members"]
        assert member["note"]
    else:
        assert answer.status_code in (400, 409, 422), answer.text
    assert not board.offers


def test_actions_that_come_too_late(world: Updates, few: Fleet) -> None:
    rollout = begin(world, few, world.image(), concurrency=12)
    ends(world, rollout, "done")
    for action in ("pause", "resume", "cancel"):
        answer = world.api.post(f"/rollouts/{rollout['id']}/{action}", json={})
        assert answer.status_code in (200, 409), (action, answer.text)
        assert rollout_of(world, rollout)["state"] == "done"
    assert world.api.post("/rollouts/99999/pause", json={}).status_code == 404
    assert httpx.post(f"{world.url}/api/v1/rollouts/{rollout['id']}/revert", json={}).status_code == 401


def test_never_both(world: Updates, few: Fleet) -> None:
    """Two that stand for one another are never under way together."""
    first, second = few.boards[:2]
    image = world.image(60_000)
    for board in (first, second):
        board.manner = type(board.manner)(pace_s=0.05)
    rollout = begin(
        world, few, image, modules=[first.id, second.id], never_both=[[first.id, second.id]], concurrency=5
    )
    while rollout_of(world, rollout)["state"] == "running":
        assert list(members(world, rollout).values()).count("running") < 2
        time.sleep(0.05)
    assert rollout_of(world, rollout)["state"] == "done"


def test_a_module_that_is_deleted_in_mid_rollout(world: Updates, few: Fleet) -> None:
    """It holds nobody up."""
    image = world.image()
    lost = few.boards[0]
    lost.hold("downloading")
    rollout = begin(world, few, image, success_percent=50, concurrency=2)
    eventually(lambda: lost.phase == "held", "it has half of it")
    lost.go_away()
    world.call("DELETE", f"/modules/{lost.id}", 204)
    ends(world, rollout, "done")
    assert {len(board.installs) for board in few.boards[1:]} == {1}
    lost.stop()


def test_the_same_modules_in_two_rollouts(world: Updates, few: Fleet) -> None:
    """The second is refused or takes over; in the end all run one image, and nothing goes on for ever."""
    first, second = world.image(), world.image()
    for board in few.boards:
        board.hold("downloading")
    one = begin(world, few, first, concurrency=2)
    eventually(lambda: len(few.offered(first)) == 2, "two are offered")
    body = {"name": "Another", "firmware_id": second["id"], "modules": few.ids} | PLAN
    answer = world.api.post("/rollouts", json=body)
    assert answer.status_code in (201, 409), answer.text
    for board in few.boards:
        board.release()
    wanted = first
    if answer.is_success:
        wanted = second
        ends(world, answer.json(), "done", "stopped", "paused")
    eventually(lambda: rollout_of(world, one)["state"] not in ("running", "reverting"), "the first is over")
    eventually(lambda: {few.runs(id) for id in few.ids} == {wanted["serial"]}, "all run the same")
    assert under_way(world, one) == []
