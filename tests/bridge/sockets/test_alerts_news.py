"""How many alerts are new, live: to each person the count of what he may see, on every tab."""

import asyncio

import pytest

from gateway.core.errors import Said
from gateway.core.rights import Role
from tests.bridge.house import open_house
from tests.bridge.sockets.tabs import serve, tab
from tests.gateway.core.heart import PASSWORD, approved

pytestmark = pytest.mark.anyio
EVENT = "notifications:changed"


async def test_each_hears_the_count_of_what_he_may_see(tmp_path):
    async with open_house(tmp_path) as house, serve(house) as address:
        accounts, book = house.core.accounts, house.core.alerting.book
        await accounts.set_up(accounts.setup_secret, "ann", PASSWORD)
        olga = await accounts.people.add("olga", PASSWORD, Role.USER, "test")
        ann = accounts.people.named("ann")
        cookies = {name: (await accounts.log_in(name, PASSWORD, "x"))[1] for name in ("ann", "olga")}
        hers, _ = await approved(house.core, "HERS", owner_id=olga.id)
        async with (
            tab(address, cookies["ann"]) as admin, tab(address, cookies["ann"]) as second,
            tab(address, cookies["olga"]) as owner,
        ):  # fmt: skip
            book.open("offline", "HERS", Said("HERS is away."), hers)
            book.open("disk", "", Said("The disk is full."))
            await hears(admin, unseen=2, open=2)
            await hears(second, unseen=2, open=2)
            await hears(owner, unseen=1, open=1)
            await book.see(ann.person, book.newest)
            await hears(admin, unseen=0, open=2)
            await hears(second, unseen=0, open=2)
            book.close("offline", "HERS", Said("HERS is back."))
            await hears(owner, unseen=1, open=0)
            # A storm is a few words: the newest count, twice a second at most.
            for number in range(300):
                book.open("waiting", str(number), Said("x"))
            await asyncio.sleep(1.2)
            assert owner.passed().count(EVENT) <= 3


async def hears(one, **counts):
    """Until it is told just this."""
    while True:
        _, said = await one.hear(EVENT)
        if counts.items() <= said.items():
            return
