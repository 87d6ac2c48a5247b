"""What a module runs, as its hello says it: the same over every dialect."""

import pytest

from gateway.core.events import FirmwareReported
from tests.bridge.house import open_house, until
from tests.bridge.sockets.esp32_firmware import firmware
from tests.bridge.sockets.instances import speaking
from tests.bridge.sockets.tabs import serve, tab
from tests.gateway.core.heart import LED, application, approved, heard

pytestmark = pytest.mark.anyio
DIGEST = "sha256:" + "a" * 64
WHOLE = {"serial": "app-1", "version": "1", "digest": DIGEST}
# What it says, and what is made of it.
SAID = [
    (WHOLE, WHOLE),
    ("app-1", {"serial": "app-1"}),
    ({"serial": "s" * 3000, "version": 7, "more": "x"}, {"serial": "s" * 200}),
    ({"digest": DIGEST}, {"digest": DIGEST}),
]
NOTHING = [None, "", {}, 7, True, [], [{}], {"serial": ""}, {"serial": ["app-1"]}]


async def check(house, hello):
    """`hello(said)` returns once it was answered."""
    reported = heard(house.core, FirmwareReported)
    for said, told in SAID:
        reported.clear()
        await hello(said)
        await until(lambda: reported)
        assert [(event.module_id, event.said, event.occasion, event.by) for event in reported] == [
            ("MC-1", told, "hello", "MC-1")
        ]
    reported.clear()
    for said in NOTHING:
        await hello(said)
    await hello("last")
    await until(lambda: reported)
    assert [event.said for event in reported] == [{"serial": "last"}]


@pytest.mark.parametrize("event", ["module.register", "module.connect"])
async def test_module_register(tmp_path, event):
    async with open_house(tmp_path) as house, serve(house) as address:
        _, token = await approved(house.core, type=LED)
        async with tab(address) as strip:

            async def hello(said):
                await strip.say(event, {"token": token, "firmware": said})
                await strip.hear(event)

            await check(house, hello)


async def test_node_login(tmp_path):
    async with open_house(tmp_path) as house, serve(house) as address:
        _, token = await approved(house.core)
        async with speaking(address, "node") as one:
            await check(house, lambda said: one.ask("login", "logged", token=token, firmware=said))


async def test_esp32_identify(tmp_path):
    async with open_house(tmp_path) as house, serve(house) as address:
        _, token = await approved(house.core)
        async with firmware(address) as one:

            async def hello(said):
                await one.identify("MC-1", token, firmware=said)
                await one.welcomed()

            await check(house, hello)


async def test_who_waits_says_nothing_that_counts(tmp_path):
    """Its token proves nothing yet."""
    async with open_house(tmp_path) as house, serve(house) as address:
        granted = await house.core.enrolment.register(application(), "10.0.0.1")
        reported = heard(house.core, FirmwareReported)
        async with tab(address) as strip:
            await strip.say("module.register", {"token": granted.token, "firmware": WHOLE})
            await strip.hear("module.error")
        async with speaking(address, "node") as one:
            await one.ask("login", "loginFailed", token=granted.token, firmware=WHOLE)
        assert reported == []
