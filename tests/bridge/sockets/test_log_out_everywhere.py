"""Within two seconds: no socket of a session that ended is left, and no program whose token is dead."""

import time

import anyio
import pytest

from gateway.core.rights import Role, ServiceRole
from tests.bridge.house import device, open_house
from tests.bridge.sockets.tabs import serve, tab
from tests.gateway.core.heart import PASSWORD

pytestmark = pytest.mark.anyio
WITHIN_S = 2.0


async def gone_within(began, *sockets):
    """The clock is that of the promise; a machine too slow to keep it fails here and nowhere else."""
    for one in sockets:
        with anyio.fail_after(20):
            await one.gone.wait()
    assert time.monotonic() - began <= WITHIN_S


@pytest.mark.parametrize("who", ["the person", "an admin"])
async def test_every_tab_and_program_of_a_person_is_out_and_nobody_else(tmp_path, who):
    async with open_house(tmp_path) as house, serve(house) as address:
        accounts = house.core.accounts
        ann = await accounts.set_up(accounts.setup_secret, "ann", PASSWORD)
        olga = (await accounts.people.add("olga", PASSWORD, Role.USER, "ann")).person
        _, first = await accounts.log_in("olga", PASSWORD, "x")
        _, second = await accounts.log_in("olga", PASSWORD, "y")
        jwt = (await accounts.issue_tokens("olga", PASSWORD, "z")).access_token
        _, anns = await accounts.log_in("ann", PASSWORD, "x")
        async with (
            tab(address, first) as one, tab(address, second, ("polling",)) as two,
            tab(address, auth={"token": jwt}) as program, tab(address, anns) as other,
        ):  # fmt: skip
            began = time.monotonic()
            assert await accounts.log_out_everywhere(olga.id, ann if who == "an admin" else olga) == 3
            await gone_within(began, one, two, program)
            assert not other.gone.is_set()
        assert accounts.sessions.verify(jwt) is None and accounts.sessions.find(first) is None


@pytest.mark.parametrize("way", ["removed", "rotated"])
async def test_a_program_over_mqtt_is_out_when_its_token_dies(tmp_path, way):
    async with open_house(tmp_path) as house:
        accounts, services = house.core.accounts, house.core.services
        ann = await accounts.set_up(accounts.setup_secret, "ann", PASSWORD)
        _, token = await services.add("home-assistant", ServiceRole.READER, ann)
        _, other = await services.add("node-red", ServiceRole.CONTROLLER, ann)
        async with (
            device(house, "ha-1", token, "home-assistant") as program,
            device(house, "nr-1", other, "node-red") as bystander,
        ):
            assert await program.subscribe("+/out/#") == [1]
            began = time.monotonic()
            fresh = ""
            if way == "removed":
                await services.remove("home-assistant", ann)
            else:
                fresh = await services.rotate("home-assistant", ann)
            assert await program.cut_off()
            assert time.monotonic() - began <= WITHIN_S
            assert await bystander.heard_nothing()
            assert services.authenticate("home-assistant", token) is None
        if fresh:
            async with device(house, "ha-1", fresh, "home-assistant") as program:
                assert await program.subscribe("+/out/#") == [1]
