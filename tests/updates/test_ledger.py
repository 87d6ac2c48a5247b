"""The ledger of an update: every step in order with its evidence, and success only where it is proved."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.dialects.world import Person

from .device import Board
from .world import ENDED, GENERIC, IN_ORDER, Updates, eventually, firmware_of, vars_of

PROBATION_S = 1.0
BIG = 400_000
# A module that comes back with another image is given 30 s to find itself.
GRACE_S = 60
QUIET_S = 1.5


def steps(world: Updates, job: dict[str, Any]) -> list[str]:
    """The states without those that repeat."""
    states = world.states(job)
    return [state for place, state in enumerate(states) if place == 0 or states[place - 1] != state]


def open_jobs(world: Updates, board: Board) -> list[dict[str, Any]]:
    return [job for job in world.jobs(module=board.id) if job["state"] not in ENDED]


# Honest modules


@pytest.mark.parametrize("transport", ["http", "mqtt"])
def test_an_honest_update(world: Updates, transport: str) -> None:
    old, new = world.image(), world.image(BIG if transport == "http" else 100_000)
    board = world.board(old, transport=transport)
    job = world.assign(board.id, new)
    done = world.until(job, "confirmed")
    assert tuple(steps(world, job)) == IN_ORDER
    assert (done["firmware_id"], done["module"], done["size"]) == (new["id"], board.id, new["size"])
    assert done["received"] == new["size"] and not done["error"]
    times = [step["at"] for step in done["history"]]
    assert times == sorted(times) and all(step["evidence"] for step in done["history"])
    came_back = board.hellos[1][0]
    assert times[-1] / 1000 - came_back > PROBATION_S - 0.05, "confirmed before the probation was over"
    module = world.module(board.id)
    assert module["current_firmware"] == module["assigned_firmware"] == new["serial"]
    assert (len(board.installs), board.jobs, board.refused) == (1, [job["id"]], [])
    assert [start for _, start in board.begun] == [0]


def test_progress_is_told_while_it_comes(world: Updates) -> None:
    board = world.board(hold="downloading")
    job = world.assign(board.id, image := world.image(BIG))
    eventually(lambda: world.job(job)["received"] >= BIG // 4, "some of it has come")
    half = world.job(job)
    assert half["state"] == "downloading" and half["received"] <= BIG == half["size"]
    board.release()
    assert world.until(job, "confirmed")["received"] == image["size"]


@pytest.mark.parametrize("transport", ["http", "mqtt"])
def test_a_cut_never_starts_from_nothing(world: Updates, transport: str) -> None:
    cuts = (1024, 33_000, 70_000, 99_000)
    board = world.board(transport=transport, cuts=cuts, piece=1024, pace_s=0.002)
    job = world.assign(board.id, world.image(100_000))
    world.until(job, "confirmed")
    starts = [start for _, start in board.begun]
    assert len(starts) == len(cuts) + 1 and starts[0] == 0
    assert all(start >= cut for start, cut in zip(starts[1:], cuts, strict=True))
    assert board.jobs == [job["id"]] and len(board.installs) == 1


def test_a_module_that_leaves_before_its_first_word(world: Updates) -> None:
    board = world.board(hold="offered")
    job = world.assign(board.id, world.image())
    eventually(lambda: board.offers, "an offer")
    board.go_away()
    world.until(job, "assigned")
    board.release()
    board.come_back()
    world.until(job, "confirmed")
    assert board.jobs == [job["id"]]


def test_an_absence_in_the_middle_is_no_failure(world: Updates) -> None:
    board = world.board(hold="downloading")
    job = world.assign(board.id, world.image(BIG))
    eventually(lambda: board.phase == "held", "half of it")
    board.go_away()
    world.becomes(board.id, "offline")
    time.sleep(QUIET_S / 2)
    assert world.job(job)["state"] == "downloading"
    board.release()
    board.come_back()
    world.until(job, "confirmed")
    assert [start for _, start in board.begun][1] >= BIG // 2


def test_a_probation_that_is_interrupted(world: Updates) -> None:
    """It flaps: each time it stays for less than the probation."""
    board = world.board(stays_after_reboot_s=PROBATION_S / 4)
    job = world.assign(board.id, world.image())
    eventually(lambda: len(board.hellos) > 6, "it has come back five times")
    assert world.job(job)["state"] == "installing"
    board.manner = replace(board.manner, stays_after_reboot_s=1e9)
    world.until(job, "confirmed")
    assert len(board.installs) == 1


# Modules that lie or fail


def test_the_new_digest_without_a_new_session_proves_nothing(world: Updates) -> None:
    board = world.board(world.image(), reboots=False)
    job = world.assign(board.id, world.image())
    world.until(job, "installing")
    time.sleep(PROBATION_S + QUIET_S)
    assert world.job(job)["state"] == "installing"
    assert "confirmed" not in world.states(job)


@pytest.fixture(scope="module", autouse=True)
def liars(world: Updates) -> list[tuple[Board, dict[str, Any]]]:
    """One says nothing, one gives the new serial with the old digest. They take time, so they begin first."""
    old, new = world.image(), world.image()
    boards = [world.board(old, silent_rollback=True), world.board(old, hello_digest=old["digest"])]
    return [(board, world.assign(board.id, new)) for board in boards]


def test_modules_that_come_back_with_what_they_had(
    world: Updates, liars: list[tuple[Board, dict[str, Any]]]
) -> None:
    for board, job in liars:
        end = world.until(job, "rolled_back", within_s=GRACE_S)
        assert "came back" in end["error"].lower(), end["error"]
        assert "confirmed" not in world.states(job)
        module = world.module(board.id)
        assert module["current_firmware"] != module["assigned_firmware"]
    time.sleep(QUIET_S / 2)
    assert [board.jobs for board, _ in liars] == [[job["id"]] for _, job in liars], "offered again"


def test_a_rollback_that_is_told(world: Updates) -> None:
    old, bad = world.image(), world.image()
    board = world.board(old, bad_images=frozenset({bad["digest"]}))
    job = world.assign(board.id, bad)
    end = world.until(job, "rolled_back")
    assert "did not reach the gateway" in end["error"]
    time.sleep(QUIET_S)
    assert len(board.jobs) == 1, "the same image was offered again"
    assert world.module(board.id)["current_firmware"] == old["serial"]
    technician = world.person("tina", "technician")
    for more in ({}, {"override": True}):
        answer = as_person(world, technician, "POST", f"/firmware/jobs/{job['id']}/retry", more)
        assert answer.status_code in (400, 403, 409, 422), (more, answer.status_code)
    board.manner = replace(board.manner, bad_images=frozenset())
    again = world.ask_job(job, "retry", override=True)
    world.until(again, "confirmed")


def test_an_image_that_was_never_sent(world: Updates) -> None:
    board = world.board(world.image(), skips_download=True)
    job = world.assign(board.id, world.image())
    end = world.until(job, "failed")
    assert "never sent" in end["error"]
    assert "confirmed" not in world.states(job)


def test_a_digest_that_nobody_sent_is_not_confirmed(world: Updates) -> None:
    """It says that it runs the image before it got a byte of it."""
    new = world.image()
    board = world.board(world.image(), starts=False)
    job = world.assign(board.id, new)
    board.runs = firmware_of(new)
    board.start()
    end = world.until(job, "cancelled")
    assert "own word" in json.dumps(end["history"]) + str(end["error"])
    # It may be offered in the moment before its hello is heard; it must not be sent.
    assert world.job(job)["received"] == 0 and not board.installs


def test_five_failures(world: Updates) -> None:
    board = world.board(failures=99)
    job = world.assign(board.id, world.image())
    end = world.until(job, "failed", within_s=60)
    assert "flash is worn out" in end["error"]
    tries = [word for word in board.words if word["state"] == "failed"]
    assert len(tries) == 5
    gaps = [later - sooner for sooner, later in zip(board.offered_at, board.offered_at[1:], strict=False)]
    assert gaps[-1] > gaps[0], "the waits do not grow"
    time.sleep(QUIET_S / 2)
    assert len(board.offers) == 5 and len({offer["job"] for offer in board.offers}) == 1
    board.failures = 0
    again = world.ask_job(job, "retry")
    world.until(again, "confirmed")


def test_two_failures_and_then_it_works(world: Updates) -> None:
    board = world.board(failures=2)
    job = world.assign(board.id, world.image())
    world.until(job, "confirmed")
    assert "flash is worn out" in json.dumps(world.job(job)["history"])


def test_words_that_make_no_sense(world: Updates) -> None:
    board = world.board(hold="downloading")
    job = world.assign(board.id, world.image(BIG))
    eventually(lambda: board.phase == "held", "half of it")
    half = world.job(job)["received"]
    board.go_away()
    eventually(lambda: board.line is None, "its script has left")
    with world.line(board) as line:
        topic = f"gw/1/{board.id}/up/firmware"
        for word in (
            {"state": "confirmed"}, {"state": "assigned"}, {"state": "cancelled"}, {"state": "offered"},
            {"state": 7}, {}, {"state": "downloading", "received": -5},
            {"state": "downloading", "received": "x"}, {"state": "downloading", "received": 10 * BIG},
            {"state": "downloading", "received": 1.5}, {"state": "downloading", "received": 10},
            {"state": "verified", "job": "nobody"}, {"state": "failed", "job": 7, "error": "x"},
            {"state": ["verified"]}, {"state": "downloading", "received": 2**80},
        ):  # fmt: skip
            line.publish(topic, json.dumps({"job": job["id"]} | word).encode(), qos=1)
            now = world.job(job)
            assert now["state"] == "downloading" and half <= now["received"] <= BIG, (word, now)
        for raw in (b"", b"{", b"[]", b"7", b"\xff", b"null"):
            line.publish(topic, raw, qos=1)
    board.release()
    board.come_back()
    world.until(job, "confirmed")


def test_a_word_on_another_module_s_job(world: Updates) -> None:
    board, other = world.board(hold="downloading"), world.board()
    job = world.assign(board.id, world.image(BIG))
    eventually(lambda: board.phase == "held", "half of it")
    world.online(other)
    other.stop()
    with world.line(other) as line:
        for state in ("failed", "rolled_back", "verified", "installing"):
            word = {"job": job["id"], "state": state, "received": BIG, "error": "not mine"}
            line.publish(f"gw/1/{other.id}/up/firmware", json.dumps(word).encode(), qos=1)
    assert world.job(job)["state"] == "downloading"
    board.release()
    world.until(job, "confirmed")


# People change their minds


def as_person(world: Updates, who: Person, method: str, path: str, body: Any) -> httpx.Response:
    headers = {"Authorization": "Bearer " + who.jwt}
    return httpx.request(method, world.url + "/api/v1" + path, json=body, headers=headers, timeout=20)


@pytest.mark.parametrize("moment", ["offered", "downloading", "downloaded", "verified"])
def test_a_job_is_cancelled(world: Updates, moment: str) -> None:
    board = world.board(old := world.image(), hold=moment)
    job = world.assign(board.id, world.image(BIG))
    eventually(lambda: board.phase in (moment, "held") and board.task, f"it is {moment}")
    world.call("POST", f"/firmware/jobs/{job['id']}/cancel")
    assert world.job(job)["state"] == "cancelled"
    eventually(lambda: job["id"] in board.aborts, f"the module is told: {vars_of(board)}", 10)
    assert "admin" in json.dumps(world.job(job)["history"][-1])
    board.release()
    time.sleep(QUIET_S / 2)
    assert world.job(job)["state"] == "cancelled" and not board.installs
    assert world.module(board.id)["current_firmware"] == old["serial"]
    assert len(board.jobs) == 1, "what was cancelled came back"
    world.until(world.assign(board.id, world.image()), "confirmed")


@pytest.mark.parametrize("transport", ["http", "mqtt"])
def test_a_module_that_was_away_hears_of_the_abort(world: Updates, transport: str) -> None:
    """It had half of it; when it is back, it must not go on with what nobody wants any more."""
    board = world.board(hold="downloading", transport=transport, chunk=4096)
    job = world.assign(board.id, world.image(BIG // 4))
    eventually(lambda: board.phase == "held", "half of it")
    board.go_away()
    world.becomes(board.id, "offline")
    world.call("POST", f"/firmware/jobs/{job['id']}/cancel")
    board.release()
    board.come_back()
    eventually(lambda: job["id"] in board.aborts, f"it is told: {vars_of(board)}")
    assert world.job(job)["state"] == "cancelled"
    assert not board.installs


def test_another_image_in_mid_download(world: Updates) -> None:
    board = world.board(hold="downloading")
    first, second = world.image(BIG), world.image()
    tina = world.person("tina", "technician")
    job = world.assign(board.id, first)
    eventually(lambda: board.phase == "held", "half of it")
    answer = as_person(world, tina, "PUT", f"/modules/{board.id}/firmware", {"firmware_id": second["id"]})
    assert answer.status_code == 200, answer.text
    assert world.job(job)["state"] == "cancelled"
    assert "tina" in json.dumps(world.job(job)), "who did it is not named"
    board.release()
    world.until(answer.json()["job"], "confirmed")
    eventually(lambda: job["id"] in board.aborts, "the module is told")
    assert board.installs == [second["digest"]]
    assert not open_jobs(world, board)


def test_the_same_image_again_is_the_same_job(world: Updates) -> None:
    board = world.board(hold="downloading")
    image = world.image(BIG)
    job = world.assign(board.id, image)
    eventually(lambda: board.phase == "held", "half of it")
    assert world.assign(board.id, image)["id"] == job["id"]
    board.release()
    world.until(job, "confirmed")
    assert len(board.jobs) == 1 and len(board.aborts) == 0


def test_nothing_is_wanted_any_more(world: Updates) -> None:
    board = world.board(hold="downloading")
    job = world.assign(board.id, world.image(BIG))
    eventually(lambda: board.phase == "held", "half of it")
    world.call("PUT", f"/modules/{board.id}/firmware", json={"firmware_id": None})
    assert world.job(job)["state"] == "cancelled"
    assert world.module(board.id)["assigned_firmware"] in (None, "")
    eventually(lambda: job["id"] in board.aborts, "the module is told")
    board.release()


def at_once(*works: Callable[[], Any]) -> list[Any]:
    answers: list[Any] = [None] * len(works)
    start = threading.Barrier(len(works))

    def do(place: int) -> None:
        start.wait()
        answers[place] = works[place]()

    threads = [threading.Thread(target=do, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize("same", [False, True], ids=["two images", "one image"])
def test_two_technicians_at_once(world: Updates, same: bool) -> None:
    people = [world.person(name, "technician") for name in ("tina", "toni")]
    first = world.image()
    images = [first, first if same else world.image()]
    board = world.board(hold="offered")
    world.online(board)
    path = f"/modules/{board.id}/firmware"
    for _ in range(5):
        answers = at_once(
            *(
                lambda who=who, image=image: as_person(world, who, "PUT", path, {"firmware_id": image["id"]})
                for who, image in zip(people, images, strict=True)
            )
        )
        assert {answer.status_code for answer in answers} <= {200, 409}, [a.text for a in answers]
        assert 200 in {answer.status_code for answer in answers}
        (left,) = open_jobs(world, board)
        wanted = next(image for image in images if image["id"] == left["firmware_id"])
        assert world.module(board.id)["assigned_firmware"] == wanted["serial"]
        if same:
            assert {answer.json()["job"]["id"] for answer in answers if answer.status_code == 200} == {
                left["id"]
            }
    board.release()
    world.until(left, "confirmed")
    assert board.installs == [wanted["digest"]]
    assert {job["state"] for job in world.jobs(module=board.id)} <= {"confirmed", "cancelled"}


def test_who_may(world: Updates) -> None:
    board, image = world.board(), world.image()
    job = world.assign(board.id, image, not_before=int(time.time() * 1000) + 3_600_000)
    owner = world.person("ulla", "user")
    world.call("PATCH", f"/modules/{board.id}", json={"owner_id": owner.id})
    asks = [
        ("PUT", f"/modules/{board.id}/firmware", {"firmware_id": image["id"]}),
        ("POST", f"/firmware/jobs/{job['id']}/cancel", {}),
        ("POST", f"/firmware/jobs/{job['id']}/retry", {}),
        ("DELETE", f"/firmware/{image['id']}", None),
        ("PUT", "/firmware/policy", {"require_vendor": True}),
        ("POST", "/firmware/keys", {"name": "x", "public_key": "x"}),
        ("POST", "/rollouts", {}),
    ]
    for method, path, body in asks:
        assert as_person(world, owner, method, path, body).status_code in (403, 404), path
    tina = world.person("tina", "technician")
    for method, path, body in asks[4:6]:
        assert as_person(world, tina, method, path, body).status_code == 403, path
    assert world.job(job)["state"] == "assigned"


def test_what_does_not_fit_is_refused_with_a_sentence(world: Updates) -> None:
    tina = world.person("tina", "technician")
    board = world.board(hardware="esp32-s3")
    path = f"/modules/{board.id}/firmware"
    for image in (
        world.image(type=GENERIC),
        world.image(hardware="esp32-c3"),
        world.image(min_version="99.0.0"),
    ):
        body = {"firmware_id": image["id"]}
        for more in ({}, {"override": True}):
            answer = as_person(world, tina, "PUT", path, body | more)
            assert answer.status_code in ((400, 403, 409, 422) if more else (400, 409, 422)), answer.text
            assert len(answer.json()["detail"]) > 20
        assert world.assign(board.id, image, 409) if answer.status_code == 409 else True
    assert not world.jobs(module=board.id)
    job = world.assign(board.id, image, override=True, not_before=int(time.time() * 1000) + 3_600_000)
    assert "override" in json.dumps(world.call("GET", "/audit", params={"limit": 20})).lower()
    world.call("POST", f"/firmware/jobs/{job['id']}/cancel")
    world.until(world.assign(board.id, world.image(hardware="esp32-s3")), "confirmed")


@pytest.mark.parametrize(
    "body",
    [
        {}, {"firmware_id": "x"}, {"firmware_id": 99_999}, {"firmware_id": -1}, {"firmware_id": True},
        {"firmware_id": 2**70}, {"firmware_id": 1.5}, [], {"firmware_id": 1, "not_before": "soon"},
        {"firmware_id": 1, "not_before": -1}, {"firmware_id": 1, "not_before": 2**70},
    ],
)  # fmt: skip
def test_an_assignment_that_makes_no_sense(world: Updates, body: Any) -> None:
    board = world.board(starts=False)
    answer = world.api.put(f"/modules/{board.id}/firmware", json=body)
    assert answer.status_code in (400, 404, 409, 422), answer.text
    assert answer.json()["detail"] and not world.jobs(module=board.id)


def test_a_module_that_is_deleted_takes_its_job_with_it(world: Updates) -> None:
    board = world.board(hold="downloading")
    job = world.assign(board.id, world.image(BIG))
    eventually(lambda: board.phase == "held", "half of it")
    board.go_away()
    world.call("DELETE", f"/modules/{board.id}", 204)
    answer = world.api.get(f"/firmware/jobs/{job['id']}")
    assert answer.status_code == 404 or answer.json()["state"] in ENDED
    assert not [one for one in world.jobs() if one["id"] == job["id"] and one["state"] not in ENDED]
    board.stop()


def test_a_new_token_in_mid_download(world: Updates) -> None:
    """Once it is used, the old one opens nothing any more; the module goes on where it was."""
    board = world.board(hold="downloading", chunk=4096, transport="mqtt")
    job = world.assign(board.id, world.image(BIG // 4))
    eventually(lambda: board.phase == "held", "half of it")
    address, old = f"{world.url}/fw/{job['id']}", board.token
    world.secrets.add(new := world.call("POST", f"/modules/{board.id}/rotate-token")["token"])
    board.go_away()
    world.becomes(board.id, "offline")
    board.token = new
    board.come_back()
    world.online(board)
    assert httpx.get(address, headers={"Authorization": f"Bearer {old}"}).status_code in (401, 403, 404)
    board.release()
    world.until(job, "confirmed")
    assert [start for _, start in board.begun].count(0) == 1 and not board.refused


def test_a_new_token_that_the_module_has_not_got_yet(world: Updates) -> None:
    """Both are valid until it logs in with the new one, so that its old one proves offers until then."""
    board = world.board()
    world.online(board)
    world.secrets.add(world.call("POST", f"/modules/{board.id}/rotate-token")["token"])
    job = world.assign(board.id, world.image())
    try:
        world.until(job, "confirmed", within_s=15)
    except AssertionError as error:
        raise AssertionError(f"{error}; {vars_of(board)}") from None


def test_jobs_are_listed_by_module_and_state(world: Updates) -> None:
    board, later = world.board(), int(time.time() * 1000) + 3_600_000
    job = world.assign(board.id, world.image(), not_before=later)
    second = world.assign(board.id, world.image(), not_before=later)
    assert {one["id"] for one in world.jobs(module=board.id)} == {job["id"], second["id"]}
    assert [one["id"] for one in world.jobs(module=board.id, state="assigned")] == [second["id"]]
    assert [one["id"] for one in world.jobs(module=board.id, state="cancelled")] == [job["id"]]
    assert len(world.jobs(module=board.id, limit=1)) == 2, "a page of one, and the next"
    assert world.job(second)["due"] == later
    for query in ({"state": "nonsense"}, {"module": "nobody"}, {"cursor": "nonsense"}):
        answer = world.api.get("/firmware/jobs", params=query)
        assert answer.status_code in (200, 400, 404, 422), (query, answer.text)
        assert answer.status_code != 200 or not answer.json()["items"] or "cursor" in query
    assert world.api.get("/firmware/jobs/nobody").status_code == 404


def test_nothing_is_left_for_those_who_ask_late(world: Updates) -> None:
    """An offer is for who listens now: it is no retained message."""
    board = world.board(hold="offered")
    world.assign(board.id, world.image())
    eventually(lambda: board.offers, "an offer")
    board.stop()
    with world.line(board) as line:
        line.subscribe((f"gw/1/{board.id}/down/#", 1))
        line.idle(0.5)
        assert not [message for message in line.messages if message.retain]
