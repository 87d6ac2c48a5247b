"""A module reads its own limits."""

from dataclasses import asdict, replace

import httpx
import pytest

from bridge.mqtt.limits import Limits
from gateway.core.values import Application
from tests.web.house import BASE, House
from web.app import create_app
from web.site import Roof

pytestmark = pytest.mark.anyio


async def test_a_module_reads_what_it_may_send_and_what_is_left(house: House) -> None:
    granted = await house.core.enrolment.register(Application(type=7, serial="A-1"), "192.0.2.1")
    bearer = {"authorization": f"Bearer {granted.token}"}
    told = (await house.anybody().http.get("/limits", headers=bearer)).json()
    assert (told["id"], told["mqtt"], told["telemetry"]["keys"]) == ("A-1", {}, 64)
    left = told["registrations"]["left"]
    await house.core.enrolment.register(Application(type=7, serial="A-2"), "192.0.2.1")
    again = (await house.anybody().http.get("/limits", headers=bearer)).json()
    assert again["registrations"]["left"] == left - 1
    bounds = replace(Limits(), packets_per_s=1 << 60)
    served = create_app(house.core, house.firmware, roof=Roof(device_limits=lambda: asdict(bounds)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url=BASE) as http:
        mqtt = (await http.get("/limits", headers=bearer)).json()["mqtt"]
    assert (mqtt["packet_bytes"], mqtt["packets_per_s"]) == (128 * 1024, None)
    assert "connections_per_address" not in mqtt


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic eDp5", "Bearer \xff"])
async def test_nobody_else_does(house: House, header: str) -> None:
    headers = {"authorization": header.encode("latin-1")} if header else {}
    reply = await house.anybody().http.get("/limits", headers=headers)
    assert (reply.status_code, reply.headers["content-type"]) == (401, "application/problem+json")
