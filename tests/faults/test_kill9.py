"""D1, D2, D3, D8: killed at any moment, the gateway keeps what it acknowledged."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import httpx
import pytest

from tests.conformance import packets as mqtt
from tests.conformance.client import Client, Wire
from tests.conformance.packets import Publish

from .clerk import Clerk
from .devices import Account, Device, Exact, Reporter
from .house import House, history, kills, log_in_by_form, seed

USUAL_KILLS = 4
LOAD_S = (0.2, 1.2)
REPORTERS, EXACTS = ("R-1", "R-2", "R-3"), ("X-1", "X-2")
EVENTS, DOZING = "E-1", "D-1"
TYPES = {id: 7 for id in (*REPORTERS, *EXACTS)} | {EVENTS: 0, DOZING: 2}
PATIENCE_S = 60
BAD_CREDENTIALS = 4
# Twenty kills (FAULT_KILLS=20) take minutes on a busy machine.
pytestmark = pytest.mark.timeout(1200)


@dataclass
class Aftermath:
    """A gateway that was killed many times, and everybody's records."""

    house: House
    api: httpx.Client
    reporters: list[Reporter]
    exacts: list[Exact]
    eventful: Reporter
    clerk: Clerk
    dozing: Account
    reader: Account
    declared: dict[str, Account]
    browser: httpx.Client
    browser_answers: list[int]
    refreshes: list[int]
    heard: list[Publish]
    chance: str


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    with House(tmp_path_factory.mktemp("kill9")) as house, house.api() as api:
        modules = house.declare(TYPES)
        reader = house.service(api, "reader")
        # Sessions that are left behind: one for commands, one with a subscription that gathers events.
        with modules[DOZING].client(house.mqtt_port, clean=False) as device:
            device.subscribe((modules[DOZING].topic("down", "#"), 1))
        with reader.client(house.mqtt_port, clean=False) as program:
            program.subscribe(("gw/1/+/out/event/#", 1))
        with closing(log_in_by_form(house.url, house.password)) as browser:
            yield run(house, api, modules, reader, browser)


def run(
    house: House, api: httpx.Client, modules: dict[str, Account], reader: Account, browser: httpx.Client
) -> Aftermath:
    reporters = [Reporter(house.mqtt_port, modules[id]) for id in REPORTERS]
    exacts = [Exact(house.mqtt_port, modules[id]) for id in EXACTS]
    eventful = Reporter(house.mqtt_port, modules[EVENTS], event="color")
    clerk = Clerk(house.url, api.headers["Authorization"].split()[1], DOZING)
    found = Aftermath(
        house, api, reporters, exacts, eventful, clerk, modules[DOZING], reader, {},
        browser, [], [], [], f"seed {seed()}",
    )  # fmt: skip
    tokens = login(house)
    workers = [*reporters, *exacts, eventful, clerk]
    for worker in workers:
        worker.start()
    chance = random.Random(seed())
    for number in range(kills(USUAL_KILLS)):
        if number % 5 == 0:
            found.declared |= house.declare({f"P-{number}": 3})
        under_load(workers)
        time.sleep(chance.uniform(*LOAD_S))
        house.kill9()
        house.start()
        found.browser_answers.append(found.browser.get("/modules").status_code)
        answer = httpx.post(
            house.url + "/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]}, timeout=30
        )
        found.refreshes.append(answer.status_code)
        tokens = answer.json()
        found.heard += what_waits(house, reader)
    under_load(workers)
    for worker in workers:
        worker.stop()
    house.kill9()
    house.start()
    answered = [device.acked for device in (*reporters, eventful)] + [device.done for device in exacts]
    print(f"{found.chance}: {sum(map(len, answered))} messages acknowledged")
    return found


def login(house: House) -> dict:
    words = {"username": "admin", "password": house.password}
    return httpx.post(house.url + "/api/v1/auth/login", json=words, timeout=30).json()


def what_waits(house: House, reader: Account) -> list[Publish]:
    """All that gathered for a program while it was away; it leaves without a goodbye."""
    found: list[Publish] = []
    with reader.client(house.mqtt_port, clean=False) as program:
        assert program.session_present, "the session was forgotten"
        fresh = True
        while fresh:
            program.ping()
            fresh = list(program.messages)
            found += fresh
            program.messages.clear()
    return found


def under_load(workers: list[Device | Clerk]) -> None:
    """Wait until everybody has got somewhere since the last start."""
    for worker in workers:
        worker.goes_on.clear()
    for worker in workers:
        assert worker.goes_on.wait(PATIENCE_S), (worker.name, worker.faults)


def test_d1_every_acknowledged_reading_is_kept(aftermath: Aftermath) -> None:
    for reporter in aftermath.reporters:
        values = Counter(history(aftermath.api, reporter.account.id, "n"))
        lost = [number for number in reporter.acked if number not in values]
        assert lost == [], (aftermath.chance, reporter.account.id, len(lost), len(reporter.acked))
        unasked = [number for number, times in values.items() if times > reporter.sent[number]]
        assert unasked == [], "more often than sent"
        assert len(reporter.acked) > 100


def test_d8_readings_are_kept_in_the_order_they_were_sent(aftermath: Aftermath) -> None:
    for device in (*aftermath.reporters, *aftermath.exacts):
        first_seen = list(dict.fromkeys(history(aftermath.api, device.account.id, "n")))
        assert first_seen == sorted(first_seen)


def test_d3_qos_2_is_kept_once(aftermath: Aftermath) -> None:
    for exact in aftermath.exacts:
        values = Counter(history(aftermath.api, exact.account.id, "n"))
        assert [number for number in exact.done if number not in values] == []
        assert {number: times for number, times in values.items() if times > 1} == {}, aftermath.chance


def test_d2_sessions_are_kept(aftermath: Aftermath) -> None:
    for device in (*aftermath.reporters, *aftermath.exacts, aftermath.eventful):
        assert device.sessions_lost == 0
        assert device.faults == []


def test_d2_answered_changes_are_kept(aftermath: Aftermath) -> None:
    clerk, answered = aftermath.clerk, aftermath.clerk.answered
    assert clerk.faults == []
    assert answered.approved and answered.rejected and answered.pending and answered.names
    seen = {id: aftermath.api.get(f"/modules/{id}") for id in answered.accounts}
    assert {id for id, answer in seen.items() if answer.status_code != 200} == set()
    status = {id: answer.json()["status"] for id, answer in seen.items()}
    assert {id for id in answered.approved if status[id] in ("pending", "rejected")} == set()
    assert {id for id in answered.rejected if status[id] != "rejected"} == set()
    assert answered.names == {id: seen[id].json()["name"] for id in answered.names}
    for id, version in answered.desired.items():
        seen_desired = aftermath.api.get(f"/modules/{id}/desired").json()
        assert seen_desired["version"] == version and seen_desired["values"]
    services = {one["name"] for one in aftermath.api.get("/service-accounts").json()["items"]}
    assert answered.services and answered.services.keys() <= services
    for id in aftermath.declared:
        assert aftermath.api.get(f"/modules/{id}").json()["status"] == "offline"


def test_d2_pending_expiry_is_absolute(aftermath: Aftermath) -> None:
    for id, expires_at in aftermath.clerk.answered.pending.items():
        seen = aftermath.api.get(f"/modules/{id}").json()
        assert (seen["status"], seen["expires_at"]) == ("pending", expires_at)


def test_d2_tokens_are_kept_and_dead_ones_stay_dead(aftermath: Aftermath) -> None:
    port, answered = aftermath.house.mqtt_port, aftermath.clerk.answered
    for id in (*list(answered.approved)[:3], *list(answered.pending)[:3]):
        with answered.accounts[id].client(port) as device:
            device.ping()
    for account in (*list(aftermath.declared.values())[:2], *list(answered.services.values())[:2]):
        with account.client(port) as device:
            device.ping()
    for id, token in list(answered.rejected.items())[:3]:
        assert login_code(port, Account(id, token)) == BAD_CREDENTIALS


def login_code(port: int, account: Account) -> int:
    with Wire(port) as wire:
        wire.send(mqtt.connect(account.id, user=account.id, password=account.token.encode()))
        answer = wire.read()
    assert isinstance(answer, mqtt.Connack)
    return answer.code


def test_d2_queued_commands_are_delivered_once_and_in_order(aftermath: Aftermath) -> None:
    wanted = aftermath.clerk.answered.commands
    assert len(wanted) > 3
    heard: list[str] = []
    with aftermath.dozing.client(aftermath.house.mqtt_port, clean=False) as device:
        assert device.session_present, "the session was forgotten"
        while not set(wanted) <= set(heard):
            message = device.one()
            assert message.topic == aftermath.dozing.topic("down", "command") and not message.retain
            command = json.loads(message.payload)
            heard.append(command["id"])
            reply = json.dumps({"id": command["id"], "status": "done"}).encode()
            device.publish(aftermath.dozing.topic("up", "reply"), reply, qos=1)
        device.disconnect()
    assert Counter(heard).most_common(1)[0][1] == 1
    assert [id for id in heard if id in set(wanted)] == wanted
    page = aftermath.api.get(f"/modules/{DOZING}/commands", params={"limit": 200}).json()["items"]
    assert {command["status"] for command in page} == {"done"}


def test_d2_queued_messages_and_subscriptions_are_kept(aftermath: Aftermath) -> None:
    """Events for a program that only looks in between the kills; what it heard before comes again marked."""
    aftermath.heard += what_waits(aftermath.house, aftermath.reader)
    numbers = [number_of(message) for message in aftermath.heard]
    assert set(aftermath.eventful.acked) - set(numbers) == set(), aftermath.chance
    unmarked = Counter(number_of(message) for message in aftermath.heard if not message.dup)
    assert [n for n, times in unmarked.items() if times > aftermath.eventful.sent[n]] == []
    first_heard = list(dict.fromkeys(numbers))
    assert first_heard == sorted(first_heard)


def number_of(event: Publish) -> int:
    values = json.loads(event.payload)
    return int.from_bytes(bytes([values["red"], values["green"], values["blue"]]), "big")


def test_d2_what_is_retained_about_modules_is_there(aftermath: Aftermath) -> None:
    approved = {*TYPES, *aftermath.declared, *aftermath.clerk.answered.approved}
    wanted = {f"gw/1/{id}/out/availability" for id in approved}
    states = {reporter.account.topic("out", "state"): max(reporter.acked) for reporter in aftermath.reporters}
    found: dict[str, bytes] = {}
    words = {"user": aftermath.reader.id, "password": aftermath.reader.token.encode()}
    with Client(aftermath.house.mqtt_port, "another", **words) as program:
        program.subscribe(("gw/1/+/out/availability", 1), ("gw/1/+/out/state", 1))
        while not (wanted | states.keys()) <= found.keys():
            message = program.one()
            found[message.topic] = message.payload
    for topic, newest in states.items():
        assert json.loads(found[topic])["n"] >= newest


def test_d2_logins_are_kept(aftermath: Aftermath) -> None:
    assert set(aftermath.browser_answers) == {200}
    assert set(aftermath.refreshes) == {200}
    assert aftermath.browser.get("/modules").status_code == 200


def test_the_audit_trail_is_whole(aftermath: Aftermath) -> None:
    verdict = aftermath.house.json_command("audit", "verify")
    assert (verdict["whole"], verdict["broken_at"], verdict["fault"]) == (True, None, "")


def test_nothing_broke_and_no_secret_was_printed(aftermath: Aftermath) -> None:
    house, clerk = aftermath.house, aftermath.clerk.answered
    printed = "\n".join([*house.printed, *house.lines])
    assert "Traceback" not in printed and "[error" not in printed
    tokens = [account.token for account in (*clerk.accounts.values(), aftermath.dozing, aftermath.reader)]
    assert [secret for secret in (*tokens, house.password) if secret in printed] == []
