"""The helper itself: a gateway that starts, dies, comes back on the same ports and data, and stops."""

import signal
from pathlib import Path

from gateway_process import GatewayProcess, modules


def test_a_gateway_can_be_killed_and_comes_back(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        assert gateway.answers()
        with gateway.api() as api:
            assert modules(api) == []
        gateway.kill9()
        assert not gateway.answers()
        gateway.start()
        with gateway.api() as api:
            assert [user["username"] for user in api.get("/users").json()["items"]] == ["admin"]
        assert gateway.stop() == -signal.SIGTERM
