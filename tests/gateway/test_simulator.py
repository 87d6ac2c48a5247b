"""Simulated devices: the same by the same seed, and real enough for a real gateway."""

import json
import math
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway_process import PASSERELLE, GatewayProcess, modules, wait_until

from bridge.mqtt import packets as broker
from gateway.core.types import ModuleType, builtin
from gateway.simulator import packets
from gateway.simulator.dice import Dice
from gateway.simulator.fleet import members
from gateway.simulator.obedience import Obedience
from gateway.simulator.profiles import AMOUNTS, PROFILES, plan
from gateway.simulator.readings import Readings

TYPES = {type.suffix: type for type in builtin()}
DEVICES = 30
STORM_S = 8

# The pure part


def test_the_dice_roll_the_same_everywhere() -> None:
    dice = Dice(1, "SIM-0001-WX")
    assert [int(dice.roll() * 1_000_000) for _ in range(4)] == [468299, 418013, 367348, 433428]


def test_the_dice_are_fair_enough() -> None:
    dice = Dice("fair")
    rolls = [dice.roll() for _ in range(10_000)]
    assert all(0 <= roll < 1 for roll in rolls)
    assert math.isclose(sum(rolls) / len(rolls), 0.5, abs_tol=0.02)
    drawn = [dice.weighted({"often": 9, "never": 0, "seldom": 1}) for _ in range(1000)]
    assert 50 < drawn.count("seldom") < 200
    assert "never" not in drawn


@pytest.mark.parametrize("type", builtin(), ids=lambda type: type.suffix)
def test_the_same_seed_gives_the_same_readings_and_all_fit_their_type(type: ModuleType) -> None:
    first, second, other = (Readings(type, Dice(seed, "S", "values")) for seed in (1, 1, 2))
    days = [[readings.after(5.0) for _ in range(300)] for readings in (first, second, other)]
    assert days[0] == days[1]
    assert days[0] != days[2]
    for values in days[0]:
        assert values.keys() >= type.keys.keys()
        assert [type.keys[key].fault(value) for key, value in values.items() if key in type.keys].count(
            None
        ) == len(type.keys)


def test_readings_move_slowly() -> None:
    readings = Readings(TYPES["WX"], Dice("slow"))
    day = [readings.after(5.0)["temperature"] for _ in range(500)]
    assert max(abs(a - b) for a, b in pairwise(day)) < 1
    assert max(day) - min(day) > 1


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_the_same_seed_gives_the_same_plan(profile: Any) -> None:
    first, second, other = (list(islice(plan(profile, Dice(seed)), 500)) for seed in (7, 7, 8))
    assert first == second
    assert first != other
    assert {step.kind for step in first} == set(profile.faults or {"report"})
    assert first[0].wait_s <= profile.interval_s
    for step in first:
        low, high = AMOUNTS.get(step.kind, (0, 0))
        assert low <= step.amount <= high


def test_types_take_turns_and_serials_are_told_apart() -> None:
    crew = members(20, builtin())
    assert [member.serial for member in crew[:3]] == ["SIM-0001-LED", "SIM-0002-STN", "SIM-0003-ST"]
    assert crew[9].type.suffix == "LED"
    assert len({member.serial for member in crew}) == 20


def obey(type: ModuleType) -> Obedience:
    return Obedience(type, Readings(type, Dice("obedient")))


def order(number: int, command: str = "left", **params: object) -> bytes:
    return json.dumps({"id": str(number), "command": command, "params": params}).encode()


def test_a_command_is_obeyed_once_and_answered_again() -> None:
    device = obey(TYPES["ST"])
    replies, raised = device.command(order(1))
    assert [reply["status"] for reply in replies] == ["accepted", "done"]
    assert raised == ""
    assert device.command(order(1))[0] == [{"id": "1", "status": "done"}]
    assert device.command(order(2, "fly"))[0][0]["status"] == "rejected"
    for broken in (b"", b"{", b"[]", b"\xff", b'{"id": 1}'):
        assert device.command(broken) == ([], "")
    for number in range(10, 42):
        device.command(order(number))
    assert len(device.command(order(10))[0]) == 1
    assert len(device.command(order(1))[0]) == 2


def test_a_command_changes_the_readings() -> None:
    light, readings = TYPES["LED"], Readings(TYPES["LED"], Dice("dark"))
    device = Obedience(light, readings)
    _, raised = device.command(order(1, "color", red=1, green=2, blue=3))
    assert raised == "color"
    assert readings.now()["on"] is True
    assert device.desired(b'{"version": 3, "values": {"brightness": 12}}') == {
        "version": 3,
        "values": {"brightness": 12},
    }
    assert readings.now()["brightness"] == 12
    assert device.desired(b"[]") is None


def test_the_broker_reads_what_the_client_writes() -> None:
    login = packets.Login("SIM-1", "secret", will_topic="t/w", will=b"offline")
    raw = packets.connect(login)
    first, start, end = broker.cut(raw, 0, 1000)
    asked = broker.connect(raw[start:end])
    assert (first, end) == (0x10, len(raw))
    assert (asked.client_id, asked.username, asked.password, asked.clean) == (
        "SIM-1",
        "SIM-1",
        b"secret",
        True,
    )
    assert asked.will == broker.Will("t/w", b"offline", 1, True)
    assert "secret" not in repr(login)

    anonymous = packets.connect(packets.Login("nonce-123", clean=False))
    asked = broker.connect(anonymous[2:])
    assert (asked.username, asked.password, asked.will, asked.clean) == (None, None, None, False)
    raw = packets.subscribe(7, ["a/b", "a/c"])
    assert broker.subscribe_parts(raw[2:]) == (7, [("a/b", 1), ("a/c", 1)])


def test_packets_are_cut_wherever_the_stream_breaks() -> None:
    sent = [broker.connack(0), broker.publish("t", b"x" * 300, 1, False, number=5), broker.PINGRESP_BYTES]
    stream = b"".join(sent)
    for cut in range(len(stream) + 1):
        first = list(packets.whole(stream[:cut]))
        used = first[-1][2] if first else 0
        rest = list(packets.whole(stream[used:]))
        assert [kind >> 4 for kind, _, _ in first + rest] == [2, 3, 13]
    with pytest.raises(broker.Malformed):
        list(packets.whole(b"\x30\xff\xff\xff\xff\x01"))


# Against a real gateway


@contextmanager
def simulation(gateway: GatewayProcess, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """`passerelle simulate`, which ends by itself or with the block."""
    options = ["--host", "127.0.0.1", "--port", str(gateway.mqtt_port), "--json", *words]
    process = subprocess.Popen(
        [PASSERELLE, "simulate", *options], cwd=gateway.folder, env=gateway.env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=30)
        finally:
            process.kill()


def summary(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """End it as Ctrl-C does."""
    process.send_signal(signal.SIGINT)
    said, complaints = process.communicate(timeout=30)
    assert (process.returncode, complaints) == (0, "")
    return json.loads(said)


def approve_all(api: httpx.Client, count: int) -> None:
    wait_until(lambda: len(modules(api, status="pending")) == count, f"{count} modules that wait")
    for one in modules(api, status="pending"):
        api.post(f"/modules/{one['id']}/approve", json={}).raise_for_status()


def reporting(api: httpx.Client, count: int) -> list[dict[str, Any]]:
    def there() -> list[dict[str, Any]]:
        online = [one for one in modules(api, status="online") if one["telemetry"]]
        return online if len(online) == count else []

    return wait_until(there, f"{count} modules online with readings")


def test_thirty_devices_enrol_report_and_obey_and_are_the_same_ones_next_time(tmp_path: Path) -> None:
    words = ("--devices", str(DEVICES), "--interval", "0.5", "--seed", "3")
    with GatewayProcess(tmp_path) as gateway, gateway.api() as api:
        with simulation(gateway, *words) as process:
            approve_all(api, DEVICES)
            there = reporting(api, DEVICES)
            assert {one["type"] for one in there} == {type.code for type in builtin()}
            sent = api.post("/modules/SIM-0003-ST/commands", json={"command": "left", "params": {}}).json()
            path = f"/modules/SIM-0003-ST/commands/{sent['id']}"
            wait_until(lambda: api.get(path).json()["status"] == "done", "the command done")
            told = summary(process)
        assert told["states"] == {"online": DEVICES}
        assert told["counts"]["enrolled"] == told["counts"]["sessions"] == DEVICES
        assert told["counts"]["commands"] == 1
        wait_until(lambda: len(modules(api, status="offline")) == DEVICES, "all offline")
        assert {one["reason"] for one in modules(api)} == {"goodbye"}

        kept = tmp_path / "simulated-modules.json"
        assert kept.stat().st_mode & 0o777 == 0o600
        with simulation(gateway, *words) as process:
            reporting(api, DEVICES)
            assert "enrolled" not in summary(process)["counts"]
        assert len(modules(api)) == DEVICES


def test_devices_outlive_a_gateway_that_was_killed(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        with gateway.api() as api, simulation(gateway, "--devices", "3", "--interval", "0.5") as process:
            approve_all(api, 3)
            reporting(api, 3)
            gateway.kill9()
            gateway.start()
            with gateway.api() as api_again:
                reporting(api_again, 3)
            told = summary(process)
        assert told["counts"]["lost"] >= 3
        assert told["counts"]["enrolled"] == 3


def test_a_crowd_waits_as_long_as_the_gateway_says(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway, gateway.api() as api:
        with simulation(gateway, "--devices", "64") as process:
            approve_all(api, 64)
            assert summary(process)["counts"]["turned away"] >= 1


def test_flaky_devices_hurt_nobody_else(tmp_path: Path) -> None:
    calm = ("--devices", "1", "--type", "WX", "--interval", "0.5", "--tokens", "calm.json")
    flaky = (
        "--devices",
        "12",
        "--type",
        "GEN",
        "--profile",
        "flaky",
        "--interval",
        "0.1",
        "--tokens",
        "flaky.json",
    )
    kinds = {"sleep", "flood", "drop", "garbage", "clone", "restart"}
    with GatewayProcess(tmp_path) as gateway, gateway.api() as api, simulation(gateway, *calm) as process:
        approve_all(api, 1)
        reporting(api, 1)
        with simulation(gateway, *flaky) as storm:
            approve_all(api, 12)
            since = api.get("/modules/SIM-0001-WX").json()["since"]
            wait_until(lambda: len(modules(api, status="sleeping")) > 0, "a sleeping module")
            assert gateway.answers()
            with pytest.raises(subprocess.TimeoutExpired):
                storm.wait(STORM_S)
            assert len(kinds & summary(storm)["counts"].keys()) >= 4
        assert gateway.answers("/healthz")
        assert gateway.answers("/readyz")
        seen = api.get("/modules/SIM-0001-WX").json()
        assert (seen["status"], seen["since"], seen["unstable"]) == ("online", since, False)
        assert "lost" not in summary(process)["counts"]
        assert not [line for line in gateway.lines if "[error" in line or "Traceback" in line]


def test_what_cannot_be_simulated_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("[]")
    for words, told in (
        (["--profile", "angry"], "'angry' is no profile"),
        (["--type", "TOASTER"], "'TOASTER' is no built-in module type"),
        (["--tokens", str(tmp_path / "broken.json")], "holds no tokens"),
        (["--tokens", str(tmp_path / "no" / "such" / "folder")], "cannot be kept"),
    ):
        done = subprocess.run(
            [PASSERELLE, "simulate", "--seconds", "1", *words], cwd=tmp_path, capture_output=True, text=True,
            timeout=60,
        )  # fmt: skip
        assert done.returncode == 1
        assert told in done.stderr
        assert "Traceback" not in done.stderr
