"""A bootstrap key over MQTT: in at once, and for a known serial as wrong as any other key."""

import pytest

from tests.bridge.house import device, enrol, open_house, until
from tests.gateway.core.heart import ADMIN, GENERIC

pytestmark = pytest.mark.anyio


async def test_a_new_device_is_in_and_works_at_once(tmp_path):
    async with open_house(tmp_path) as house:
        key = await house.core.bootstrap.allow(GENERIC, ADMIN)
        answer = await enrol(house, "NEW-1", "nonce-1001", shared_key=key, firmware={"serial": "fw-1"})
        assert (answer["status"], answer["id"]) == ("approved", "NEW-1")
        async with device(house, "NEW-1", answer["token"]) as new:
            await new.say("NEW-1/up/telemetry", {"a": 1})
            await until(lambda: house.core.telemetry.latest("NEW-1").get("a") == 1)
        await house.firmware.running.settled("NEW-1")
        module = house.core.registry.get("NEW-1")
        assert (module.firmware, module.reported_firmware) == ("", "fw-1")
        rows = await house.core.audit.rows(subject="NEW-1")
        assert "firmware.unknown" in {row["action"] for row in rows}
        answers = [
            await enrol(house, serial, f"nonce-100{number}", shared_key=given)
            for number, (serial, given) in enumerate([("NEW-1", key), ("NEW-1", "x"), ("NEW-2", "x")], 2)
        ]
        assert answers[0] == answers[1] == answers[2]
        assert (answers[0]["status"], answers[0]["message"]) == ("refused", "Serial or shared key is wrong.")
