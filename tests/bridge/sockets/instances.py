"""Programs and nodes on real sockets, for the tests of `client.to.instance` and `node.to.instance`."""

import asyncio
from contextlib import asynccontextmanager

from gateway.core.rights import Role
from tests.bridge.house import open_house
from tests.bridge.sockets.tabs import serve, tab
from tests.gateway.core.heart import PASSWORD, TECHNICIAN

UP = {"client": "client.to.instance", "node": "node.to.instance"}
DOWN = {"client": "instance.to.client", "node": "instance.to.node"}


class Speech:
    """A socket of one kind: it says actions and hears them, in the dialect's envelopes."""

    def __init__(self, kind, tab):
        self.kind, self.tab = kind, tab

    async def say(self, action, **parameters):
        await self.tab.say(UP[self.kind], {"action": action, "parameters": parameters})

    async def hear(self, *actions):
        """The parameters of the next of these actions; lists of online nodes are passed over otherwise."""
        while True:
            _, message = await self.tab.hear(DOWN[self.kind])
            if message["action"] in actions:
                return message["parameters"]
            assert message["action"] == "updateOnlineNodes", message

    async def ask(self, action, expected, **parameters):
        await self.say(action, **parameters)
        return await self.hear(expected)

    async def refused(self, action, **parameters):
        """The sentence."""
        told = await self.ask(action, "error", **parameters)
        assert told["action"] == action
        return told["msg"]

    async def log_in(self, token):
        return await self.ask("login", "logged", token=token)

    async def cut_off(self, within_s=20):
        await asyncio.wait_for(self.tab.gone.wait(), within_s)
        return True


@asynccontextmanager
async def speaking(address, kind, token=None, **options):
    async with tab(address, **options) as one:
        speech = Speech(kind, one)
        if token is not None:
            await speech.log_in(token)
        yield speech


@asynccontextmanager
async def open_world(folder, **settings):
    """A house with an admin and two people, on the web."""
    async with open_house(folder, **settings) as house, serve(house) as address:
        core = house.core
        if core.accounts.setup_needed:
            await core.accounts.set_up(core.accounts.setup_secret, "ann", PASSWORD)
            for name in ("olga", "sam"):
                await core.accounts.people.add(name, PASSWORD, Role.USER, "ann")
        yield house, address


async def program(house, owner=None):
    """A registered program's id and token."""
    registered, token = await house.core.clients.register({"name": "panel"}, "10.0.0.9")
    if owner is not None:
        by = house.core.accounts.people.named("ann").person
        owner_id = house.core.accounts.people.named(owner).id
        await house.core.clients.give(registered.id, owner_id, by)
    return registered.id, token


async def node(address, house, serial="NODE-1", **more):
    """A node registers over its own dialect and is approved; its token."""
    async with speaking(address, "node") as one:
        told = await one.ask("register", "registered", information={}, serial=serial, **more)
    (outcome,) = await house.core.decisions.approve([told["id"]], TECHNICIAN)
    assert outcome.error is None
    return told["token"]
