"""Modules on sockets when the gateway stops in order: nobody left, so nobody is offline for it."""

import json
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.gateway_process import GatewayProcess, modules

MODULES = "serial,type,name,group\nSOCKET,7,,\nBOARD,7,,\nLEFT,7,,\n"


def presence(gateway: GatewayProcess) -> dict[str, tuple[str, str]]:
    with gateway.api() as api:
        return {row["id"]: (row["status"], row["reason"]) for row in modules(api)}


def hello(gateway: GatewayProcess, token: str):
    """A module over Socket.IO, frame by frame."""
    address = gateway.url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    line = connect(address, compression=None, proxy=None)
    assert str(line.recv(timeout=20)).startswith("0")
    line.send("40")
    assert str(line.recv(timeout=20)).startswith("40")
    line.send("42" + json.dumps(["module.register", {"token": token}]))
    assert '"status":2' in str(line.recv(timeout=20))
    return line


def board(gateway: GatewayProcess, token: str):
    """A module on the plain websocket."""
    line = connect(gateway.url.replace("http", "ws", 1) + "/esp32", compression=None, proxy=None)
    line.send(json.dumps({"type": "module_identify", "moduleId": "BOARD", "password": token}))
    assert '"connected"' in str(line.recv(timeout=20))
    return line


@pytest.mark.parametrize("kill", [False, True], ids=["stop", "kill9"])
def test_who_was_there_is_unknown_and_who_had_left_is_offline(tmp_path: Path, kill: bool) -> None:
    (tmp_path / "modules.csv").write_text(MODULES)
    with GatewayProcess(tmp_path) as gateway:
        made = json.loads(gateway.command("module", "import", "modules.csv", "--json"))
        tokens = {row["id"]: row["token"] for row in made}
        left = hello(gateway, tokens["LEFT"])
        left.send("41")
        left.close()
        lines = [hello(gateway, tokens["SOCKET"]), board(gateway, tokens["BOARD"])]
        assert presence(gateway)["SOCKET"][0] == presence(gateway)["BOARD"][0] == "online"
        if kill:
            gateway.kill9()
        else:
            gateway.stop()
        for line in lines:
            line.close()
        gateway.start()
        now = presence(gateway)
        assert now["SOCKET"] == now["BOARD"] == ("unknown", "broker_lost")
        assert now["LEFT"] == ("offline", "goodbye")
        lines = [hello(gateway, tokens["SOCKET"]), board(gateway, tokens["BOARD"])]
        assert presence(gateway)["SOCKET"] == presence(gateway)["BOARD"] == ("online", "hello")
        for line in lines:
            line.close()
