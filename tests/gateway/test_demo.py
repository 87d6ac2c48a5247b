"""`passerelle run --demo`, as somebody who tries it sees it."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
from gateway_process import GatewayProcess, modules, wait_until

MODULES = 12


def password(gateway: GatewayProcess) -> str:
    line = wait_until(
        lambda: next((line for line in gateway.lines if "Log in as demo" in line), ""), "a log-in"
    )
    return re.search(r"password (\S+)", line).group(1)


def log_in(gateway: GatewayProcess, word: str) -> httpx.Response:
    return httpx.post(
        gateway.url + "/api/v1/auth/login", json={"username": "demo", "password": word}, timeout=30
    )


def visitor(gateway: GatewayProcess) -> httpx.Client:
    token = log_in(gateway, password(gateway)).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=gateway.url + "/api/v1", headers=headers, timeout=30)


def all_online(api: httpx.Client) -> list[dict[str, Any]]:
    """All of them, once each is online and has reported."""

    def there() -> list[dict[str, Any]]:
        online = [one for one in modules(api, status="online") if one["telemetry"]]
        return online if len(online) == MODULES else []

    return wait_until(there, "twelve modules online")


def test_a_demo_shows_twelve_named_modules_of_all_types_and_lets_nobody_else_in(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, "--demo") as gateway, visitor(gateway) as api:
        there = all_online(api)
        assert {one["type"] for one in there} == set(range(9))
        assert all(one["name"] and one["location"] for one in there)
        assert len(modules(api)) == MODULES

        sent = api.post("/modules/DEMO-0009-ST/commands", json={"command": "right", "params": {}})
        path = f"/modules/DEMO-0009-ST/commands/{sent.json()['id']}"
        wait_until(lambda: api.get(path).json()["status"] == "done", "the command done")
        switched = "/modules/DEMO-0009-ST"
        wait_until(lambda: api.get(switched).json()["telemetry"]["position"] == "right", "the track switched")

        asked = httpx.post(gateway.url + "/modules/register", json={"type": 7, "serial": "DEMO-0099-GEN"})
        assert asked.status_code == 200
        assert api.get("/modules/DEMO-0099-GEN").json()["status"] == "pending"
        secret = password(gateway)
        gateway.stop()
        assert sum(secret in line for line in gateway.lines) == 1


def test_a_demo_on_data_that_stay_starts_again_with_a_new_password(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, "--demo") as gateway:
        first = password(gateway)
        with visitor(gateway) as api:
            before = {one["id"]: one["uuid"] for one in all_online(api)}
        gateway.kill9()
        kept = gateway.data / "demo-modules.json"
        assert kept.stat().st_mode & 0o777 == 0o600
        tokens = json.loads(kept.read_bytes())
        del tokens["DEMO-0001-WX"]
        kept.write_text(json.dumps(tokens))
        gateway.start()
        with visitor(gateway) as api:
            assert {one["id"]: one["uuid"] for one in all_online(api)} == before
        assert log_in(gateway, first).status_code == 401


def test_a_demo_changes_no_account_of_data_that_were_not_a_demo(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path, "--demo")
    words = ("user", "add", "demo", "--role", "admin", "--password-stdin")
    gateway.command(*words, stdin=gateway.password + "\n")
    with gateway:
        wait_until(lambda: any("There is a user 'demo'" in line for line in gateway.lines), "the notice")
        assert log_in(gateway, gateway.password).status_code == 200


def test_without_data_of_its_own_a_demo_leaves_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("PASSERELLE_DATA", raising=False)
    with GatewayProcess(tmp_path, "--demo", data=None) as gateway:
        password(gateway)
        (folder,) = tmp_path.glob("passerelle-demo-*")
        assert (folder / "passerelle.db").exists()
        gateway.stop()
        assert not folder.exists()
    assert list(tmp_path.iterdir()) == []
