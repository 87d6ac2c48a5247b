"""Health, readiness and figures."""

import pytest

from gateway.core.errors import Unavailable
from tests.web.house import House

pytestmark = pytest.mark.anyio


async def test_alive_and_ready(house: House) -> None:
    caller = house.anybody()
    assert (await caller.http.get("/healthz")).text == "ok"
    assert (await caller.http.get("/readyz")).json() == {"status": "ready", "database": "ok", "history": "ok"}


async def test_not_ready_without_the_database(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(self: object, query: object) -> None:
        raise Unavailable("The database is away.")

    monkeypatch.setattr(type(house.core.store), "read", away)
    caller = house.anybody()
    assert (await caller.http.get("/readyz")).status_code == 503
    assert (await caller.http.get("/healthz")).status_code == 200


async def test_figures_name_no_module_and_no_person(house: House) -> None:
    module = await house.module("VERY-OWN-ID")
    house.core.telemetry.report(module, {"a": 1})
    text = (await house.anybody().http.get("/metrics")).text
    assert 'passerelle_modules{status="offline"} 1.0' in text
    assert "passerelle_telemetry_received_total 1.0" in text
    assert "VERY-OWN-ID" not in text
    assert "admin" not in text
