"""A whole gateway with people, modules and programs, and what the tests know of each."""

import asyncio
import itertools
from contextlib import asynccontextmanager

from gateway.core.errors import GatewayError
from gateway.core.rights import Role
from gateway.core.values import Application
from tests.bridge.house import open_house
from tests.bridge.sockets.tabs import serve
from tests.gateway.core.heart import PASSWORD

from . import oracle
from .facts import Actor, Fact, Module, Program, Someone
from .raw import RawSocket

GENERIC = 7
# Changes reach a browser within half a second.
COALESCED_S = 0.55
PEOPLE = {
    "PxannxP": "admin", "PxbossxP": "admin", "PxtomxP": "technician", "PxolgaxP": "user", "PxsamxP": "user",
    "PxidaxP": "user",
}  # fmt: skip


class World:
    def __init__(self, house, url, rng):
        self.core, self.url, self.rng = house.core, url, rng
        self.people, self.modules, self.uuids, self.letters = {}, {}, {}, {}
        self.programs, self.actors, self.wishes, self.done = [], [], [], []
        self.numbers = itertools.count(1)

    # Making

    async def begin(self):
        people = self.core.accounts.people
        await self.core.accounts.set_up(self.core.accounts.setup_secret, "PxannxP", PASSWORD)
        for mark, role in PEOPLE.items():
            known = people.named(mark)
            user = known or await people.add(
                mark, PASSWORD, Role(role), "PxannxP", name=f"{mark} in full", email=f"{mark}@home.test"
            )
            self.people[mark] = Someone(mark, user.id, Fact(role))
        for owner in ("PxolgaxP", "PxsamxP", None, None):
            module = await self.newcomer()
            await self.core.decisions.approve([module.id], self.person("PxtomxP"))
            module.life.set("approved")
            await self.give(module, owner)
        for mark in PEOPLE:
            await self.tab(mark)
        for transport in ("websocket", "polling"):
            await self.join(Actor("nobody", RawSocket(self.url, transport)))

    def person(self, mark):
        return self.core.accounts.people.named(mark).person

    def an_admin(self):
        """Somebody who is an admin now: at least one always is."""
        admins = [one.mark for one in self.people.values() if one.role.now == "admin"]
        return self.person(self.rng.choice(admins))

    async def newcomer(self):
        id = f"QM{next(self.numbers):03}Q"
        told = {"name": f"{id} by itself", "location": f"{id} at home"}
        address = f"10.0.0.{self.rng.randint(1, 250)}"
        granted = await self.core.enrolment.register(
            Application(type=GENERIC, serial=id, information=told), address
        )
        known = self.core.registry.get(id)
        module = self.modules[id] = Module(id, known.uuid, known.number, granted.token)
        self.uuids[known.uuid] = id
        return module

    async def give(self, module, owner):
        owner_id = self.people[owner].id if owner else None
        await self.core.registry.edit(module.id, self.an_admin(), owner_id=owner_id)
        module.owner.set(owner)

    async def join(self, actor):
        await actor.socket.open()
        self.actors.append(actor)
        return actor

    async def tab(self, mark):
        """A new session of the person, and a socket of it."""
        opened = self.core.accounts.sessions.open(self.person(mark), "browser", "10.1.1.1")
        session, cookie = await opened
        transport = self.rng.choice(["websocket", "websocket", "polling"])
        actor = Actor("tab", RawSocket(self.url, transport, cookie=cookie), self.people[mark], session)
        return await self.join(actor)

    async def program(self):
        number = len(self.programs) + 1
        program, token = await self.core.clients.register({"name": f"Kc{number}K"}, "10.2.2.2")
        assert program.id == number
        self.programs.append(Program(number, token))
        return self.programs[-1]

    # Looking

    def pick(self, found):
        found = list(found)
        return self.rng.choice(found) if found else None

    def living(self, *kinds):
        here = [one for one in self.actors if one.alive.now and not one.socket.gone.is_set()]
        return [one for one in here if one.kind in kinds]

    def approved(self):
        return [module for module in self.modules.values() if module.life.now == "approved"]

    def expect(self, event, audience, fits):
        """By the end of the round every tab of this audience has heard it."""
        self.wishes.append((event, audience, fits))

    # The end of a round

    async def settle(self):
        """Until everybody has heard everything; then judge what was heard."""
        await self._quiet()
        for actor in self.actors:
            frames, actor.judged = actor.socket.frames[actor.judged :], len(actor.socket.frames)
            for frame in frames:
                if wrong := oracle.complaint(self, actor, frame):
                    raise AssertionError(f"{actor} got {frame.text[:2000]}\n{wrong}\n{self.story()}")
                oracle.apply(actor, frame)
            self._check_wishes(actor, frames)
        self._check_views()
        await self._check_ends()
        await self._forget()

    async def _quiet(self):
        await asyncio.gather(*[one.socket.synchronized() for one in self.actors])
        await asyncio.sleep(COALESCED_S)
        await asyncio.gather(*[one.socket.synchronized() for one in self.actors])

    def _check_wishes(self, actor, frames):
        stable = actor.kind == "tab" and not actor.new and actor.alive.lately == {True}
        if not stable or len(actor.page.lately) > 1 or len(actor.who.role.lately) > 1:
            return
        for event, audience, fits in self.wishes:
            if audience(actor):
                heard = any(frame[0] == event and fits(frame[1]) for frame in frames)
                assert heard, f"{actor} never heard {event}\n{self.story()}"

    def _check_views(self):
        """What a page shows is what is so, no more and no less."""
        for actor in self.living("tab"):
            if actor.view is None or actor.alive.lately != {True}:
                continue
            modules = [self.modules[id] for id in actor.wanted or self.modules]
            modules = [module for module in modules if module.life.now != "gone"]
            due = {module.id for module in modules if actor.surely_sees(module)}
            may = {module.id for module in modules if actor.sees(module)}
            shown = set(actor.view)
            assert due <= shown <= may, f"{actor} shows {shown}, not {due}\n{self.story()}"
            for id in due:
                is_so, shows = self.core.describe(self.core.registry.get(id)), actor.view[id]
                for key in ("telemetry", "name", "owner_id", "status"):
                    assert shows[key] == is_so[key], f"{actor} {id} {key}: {shows} {is_so}\n{self.story()}"

    async def _check_ends(self):
        """A socket whose right to be here has ended is closed soon."""
        async with asyncio.timeout(20):
            for actor in self.actors:
                if not actor.alive.now:
                    await actor.socket.gone.wait()

    async def _forget(self):
        self.wishes.clear()
        for one in [*self.actors, *self.modules.values(), *self.people.values(), *self.programs]:
            for fact in vars(one).values():
                if isinstance(fact, Fact):
                    fact.settle()
        for actor in self.actors:
            actor.new = False
            if actor.socket.gone.is_set():
                actor.alive.now = False
        await asyncio.gather(*[one.socket.close() for one in self.actors if not one.alive.now])
        self.actors = [one for one in self.actors if one.alive.now]
        self.done.append("--")

    def story(self):
        return "\n".join(self.done[-40:])

    async def do(self, act):
        """One act; that it is refused is as good."""
        try:
            told = await act(self)
        except GatewayError as refused:
            told = f"refused: {refused.message}"
        self.done.append(f"{act.__name__} {told or ''}")

    async def close(self):
        await asyncio.gather(*[one.socket.close() for one in self.actors])


@asynccontextmanager
async def open_world(folder, rng):
    async with open_house(folder) as house, serve(house) as url:
        world = World(house, url, rng)
        try:
            await world.begin()
            yield world
        finally:
            await world.close()
