"""The OpenAPI document against the gateway that it describes: over HTTP, with generated requests.

No 500, no status and no header that the document does not name, every answer as its schema says.
"""

import asyncio
import copy
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import checks
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from firmware.house import open_firmware
from gateway.core.core import open_core
from gateway.settings import Settings
from tests.web.house import House
from web.api import OPERATIONS
from web.api.openapi import document, path_of
from web.app import create_app

EXAMPLES = {"admin": 20, "user": 4, "": 2}
CHECKS = (
    checks.not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
    checks.response_headers_conformance, checks.response_schema_conformance,
)  # fmt: skip
# What there is, and what there is not; else hardly a call would get past "there is no such".
KNOWN: dict[str, list[Any]] = {
    "id": ["MC-1", "MC-2", "nobody"], "number": [1, 2, 999], "user": [2, 999], "code": [1, 120, 99999],
    "name": ["grafana", "nobody"], "job": ["0123456789abcdef"], "command": ["0123456789abcdef"],
}  # fmt: skip


class Served:
    """A gateway with a few modules, served on a port of its own by a thread of its own."""

    def __init__(self, folder: Any) -> None:
        self._settings = Settings(data=folder, rate_limits=False)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> "Served":
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self._thread.join(60)

    async def _run(self) -> None:
        self.loop = asyncio.get_running_loop()
        async with open_core(self._settings) as core, open_firmware(core) as firmware:
            self.house = House(core, create_app(core, firmware), firmware)
            await self._furnish()
            config = uvicorn.Config(self.house.app, port=0, log_config=None, access_log=False, ws="none")
            self.server = uvicorn.Server(config)
            with socket.create_server(("127.0.0.1", 0)) as listening:
                self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
                self._ready.set()
                await self.server.serve([listening])

    async def _furnish(self) -> None:
        await self.house.person("admin")
        await self.house.module("MC-1", type=0, owner="user")
        await self.house.waiting("MC-2")
        await self.house.image("fw-1", type=0)
        module = self.house.core.registry.get("MC-1")
        self.house.core.telemetry.report(module, {"on": True, "brightness": 50})

    def headers(self, who: str) -> dict[str, str]:
        """Anew for each operation: one of them logs out."""
        if not who:
            return {}
        found = asyncio.run_coroutine_threadsafe(self._token(who), self.loop).result(60)
        return {"Authorization": f"Bearer {found}"}

    async def _token(self, who: str) -> str:
        sessions = self.house.core.accounts.sessions
        return (await sessions.issue(await self.house.person(who), "127.0.0.1")).access_token


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("served")) as served:
        yield served


def _with_known() -> Any:
    made = copy.deepcopy(document(OPERATIONS))
    for row in made["paths"].values():
        for operation in row.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    parameter["schema"]["enum"] = KNOWN[parameter["name"]]
    return schemathesis.openapi.from_dict(made)


SCHEMA = _with_known()


def test_the_document_is_what_its_standard_asks_for() -> None:
    faults = [str(error)[:500] for error in OPENAPI_31_VALIDATOR.iter_errors(document(OPERATIONS))]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: f"{row.method} {row.path}")
def test_what_the_document_says_is_so(served: Served, row: Any) -> None:
    operation = SCHEMA[path_of(row)][row.method]
    for who, examples in EXAMPLES.items():
        _try(served, operation, served.headers(who), examples)


def _try(served: Served, operation: Any, headers: dict[str, str], examples: int) -> None:
    @seed(5)
    @settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy())
    def one(case: Any) -> None:
        case.call_and_validate(base_url=served.url, headers=headers, checks=CHECKS, timeout=30)

    one()
