"""Every event of the real-time API against every role, page and owner: who must hear it does, nobody else."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from bridge.sockets.compat import ALIASES, Compat
from firmware.facts import Facts
from gateway.core.events import Alert
from gateway.core.rights import Role
from gateway.settings import DIALECTS
from tests.bridge.house import open_house
from tests.bridge.sockets.tabs import PATIENCE_S, serve, tab
from tests.gateway.core.heart import GENERIC, PASSWORD, application, approved

pytestmark = pytest.mark.anyio

ROLES = {
    "ann": Role.ADMIN, "ada": Role.ADMIN, "tom": Role.TECHNICIAN, "olga": Role.USER, "sam": Role.USER,
}  # fmt: skip
PAGES = ("", "modules", "dashboard", "admin", "account")
LIVE = ("modules", "dashboard", "admin")
# Of these it is tested elsewhere when they come.
BESIDE = {"admin:stats:updated", "modules:changes", "notifications:changed"}


class World:
    """Five people with five tabs each, one on every page; HERS is olga's, HOUSE nobody's."""

    def __init__(self, house):
        self.core, self.firmware, self.tabs = house.core, house.firmware, {}

    def person(self, name):
        return self.core.accounts.people.named(name).person

    def module(self, id):
        return self.core.registry.get(id)

    async def hear(self):
        """What each tab was told since the last time, aliases and all."""
        for one in self.tabs.values():
            await one.say("request_module_states")
        return {key: await self._until_states(one) for key, one in self.tabs.items()}

    async def _until_states(self, one):
        heard = []
        async with asyncio.timeout(PATIENCE_S):
            while (event := await one.events.get())[0] != "module_states_sync":
                if event[0] not in BESIDE | {"rt_global_stats_updated"}:
                    heard.append(event)
        return heard

    async def settle(self):
        """Past the quarter of a second in which readings gather."""
        await asyncio.sleep(0.3)


@asynccontextmanager
async def open_world(folder):
    async with open_house(folder) as house, serve(house) as address, AsyncExitStack() as stack:
        world, accounts = World(house), house.core.accounts
        await accounts.set_up(accounts.setup_secret, "ann", PASSWORD)
        cookies = {}
        for name, role in ROLES.items():
            if name != "ann":
                await accounts.people.add(name, PASSWORD, role, "test")
            _, cookies[name] = await accounts.log_in(name, PASSWORD, "x")
        await approved(house.core, "HERS", owner_id=world.person("olga").id)
        await approved(house.core, "HOUSE")
        for name in ROLES:
            for page in PAGES:
                one = await stack.enter_async_context(tab(address, cookies[name]))
                if page == "admin":
                    await one.say("client:authenticate", {"page": page})
                    await one.hear("module_states_sync")
                else:
                    await one.say("register_page", {"page": page})
                world.tabs[name, page] = one
        await world.hear()
        yield world


# Audiences, as predicates over (who, page)


def everybody(who, page):
    return True


def olga(who, page):
    return who == "olga"


def sam(who, page):
    return who == "sam"


def ann(who, page):
    return who == "ann"


def staff(who, page):
    return ROLES[who] is not Role.USER


def admins(who, page):
    return ROLES[who] is Role.ADMIN


def admin_pages(who, page):
    return admins(who, page) and page == "admin"


def admin_page_of_ada(who, page):
    return who == "ada" and page == "admin"


def staff_and_olga(who, page):
    return staff(who, page) or who == "olga"


def live(who, page):
    return staff_and_olga(who, page) and page in LIVE


def live_olga(who, page):
    return olga(who, page) and page in LIVE


def live_sam(who, page):
    return sam(who, page) and page in LIVE


def live_staff(who, page):
    return staff(who, page) and page in LIVE


# What happens, and who hears what of it


async def heard(world):
    world.core.presence.heard(world.module("HERS"))


async def heard_again(world):
    world.core.presence.heard(world.module("HERS"))


async def reading(world):
    world.core.telemetry.report(world.module("HERS"), {"a": 1})
    await world.settle()


async def same_reading(world):
    world.core.telemetry.report(world.module("HERS"), {"a": 1})
    await world.settle()


async def nobodys_reading(world):
    world.core.telemetry.report(world.module("HOUSE"), {"a": 1})
    await world.settle()


async def lost(world):
    world.core.presence.gone(world.module("HERS"), "will")


async def nobodys_heard(world):
    world.core.presence.heard(world.module("HOUSE"))


async def renamed(world):
    await world.core.registry.edit("HERS", world.person("olga"), name="Mill")


async def renamed_by_ann(world):
    await world.core.registry.edit("HOUSE", world.person("ann"), name="Pump")


async def given(world):
    await world.core.registry.edit("HERS", world.person("tom"), owner_id=world.person("sam").id)
    await world.settle()


async def given_back(world):
    await world.core.registry.edit("HERS", world.person("tom"), owner_id=world.person("olga").id)
    await world.settle()


async def declared(world):
    entries = [{"serial": "NEW", "type": GENERIC}]
    await world.core.decisions.declare(entries, world.person("ann"), with_token=True)


async def registered(world):
    await world.core.enrolment.register(application("WAITS"), "10.0.0.9")


async def deleted(world):
    await world.core.registry.delete("HERS", world.person("tom"))


async def commanded(world):
    await world.core.commands.send("HERS", "set", {"values": {"a": 1}}, world.person("olga"))


async def commanded_by_ann(world):
    await world.core.commands.send("HOUSE", "set", {"values": {"a": 1}}, world.person("ann"))


async def commanded_by_a_program(world):
    await world.core.commands.send("HOUSE", "set", {"values": {"b": 1}}, "olga")


async def assigned(world):
    async with world.firmware.images.receiving() as upload:
        await upload.write(b"an image")
        world.image = await world.firmware.images.add(upload, Facts("fw-1", "1.0", GENERIC), "test")
    await world.firmware.assignments.assign("HERS", world.image.id, world.person("tom"))
    await world.settle()


async def rolled_out(world):
    plan = {"name": "May", "firmware_id": world.image.id, "modules": ["HOUSE"]}
    await world.firmware.rollouts.create(plan, world.person("tom"))
    await world.firmware.rollouts.settled()
    await world.settle()


async def logged_in(world):
    world.session, _ = await world.core.accounts.log_in("olga", PASSWORD, "10.0.0.5")


async def logged_out(world):
    await world.core.accounts.sessions.close(world.session, "olga")


async def joined_the_house(world):
    await world.core.accounts.people.add("eva", PASSWORD, Role.USER, world.person("ann"))


async def profile(world):
    olga = world.person("olga")
    await world.core.accounts.people.edit(olga.id, olga, name="Olga")


async def role(world):
    eva = world.core.accounts.people.named("eva")
    await world.core.accounts.people.edit(eva.id, world.person("ann"), role=Role.TECHNICIAN)


async def password(world):
    olga = world.person("olga")
    await world.core.accounts.people.set_password(olga.id, "another password", olga)


async def maintenance(world):
    await world.core.maintenance.set(True, "new cables", world.person("ann"))


async def maintenance_over(world):
    await world.core.maintenance.set(False, "", world.person("ann"))


async def alarm(world):
    world.core.hub.publish(Alert("warning", "The disk is nearly full.", {"free_mb": 5}))


async def closed(world):
    await world.core.joining.set("closed", world.person("tom"))


ACT, ACT_OF_ANN = {"admin:action:performed": admin_pages}, {"admin:action:performed": admin_page_of_ada}
EVENTS = [
    (heard, {"module:status:changed": live, "user:module:online": olga}),
    (heard_again, {}),
    (reading, {"module:telemetry:updated": live}),
    (same_reading, {}),
    (nobodys_reading, {"module:telemetry:updated": live_staff}),
    (nobodys_heard, {"module:status:changed": live_staff}),
    (lost, {"module:status:changed": live, "user:module:offline": olga}),
    (renamed, {"user:module:updated": olga, "admin:module:updated": admin_pages} | ACT),
    (renamed_by_ann, {"admin:module:updated": admin_pages} | ACT_OF_ANN),
    (given, {"user:module:removed": olga, "user:module:added": sam, "admin:module:updated": admin_pages,
             "module:telemetry:updated": live_sam} | ACT),
    (given_back, {"user:module:removed": sam, "user:module:added": olga, "admin:module:updated": admin_pages,
                  "module:telemetry:updated": live_olga} | ACT),
    (declared, {"admin:module:added": admin_pages, "waiting:changed": staff} | ACT_OF_ANN),
    (registered, {"admin:module:added": admin_pages, "waiting:changed": staff}),
    (commanded, {"user:command:sent": olga, "module:command:updated": staff_and_olga} | ACT),
    (commanded_by_ann, {"user:command:sent": ann, "module:command:updated": staff} | ACT_OF_ANN),
    (commanded_by_a_program, {"module:command:updated": staff}),
    (assigned, {"firmware:job:updated": staff_and_olga, "user:module:updated": olga,
                "admin:module:updated": admin_pages} | ACT),
    (deleted, {"user:module:removed": olga, "admin:module:removed": admin_pages, "waiting:changed": staff}
     | ACT),
    (logged_in, {"user:session:new": olga, "admin:user:logged_in": admin_pages}),
    (logged_out, {"admin:user:logged_out": admin_pages}),
    (joined_the_house, {"admin:user:registered": admin_pages} | ACT_OF_ANN),
    (profile, {"admin:user:profile_updated": admin_pages} | ACT),
    (role, {"admin:user:profile_updated": admin_pages} | ACT_OF_ANN),
    (password, {"user:security:password_changed": olga} | ACT),
    (maintenance, {"system:maintenance": everybody} | ACT_OF_ANN),
    (maintenance_over, {"system:maintenance": everybody} | ACT_OF_ANN),
    (alarm, {"system:alert": admins}),
    (closed, {"join:changed": staff} | ACT),
    # The last, as a rollout goes on by itself.
    (rolled_out, {"firmware:rollout:updated": staff, "firmware:job:updated": staff,
                  "admin:module:updated": admin_pages} | ACT),
]  # fmt: skip
USER = {"id", "username", "name", "email", "role", "active", "created_at", "last_login"}
FIELDS = {
    "module:status:changed": {"moduleId", "online", "status", "lastSeen", "reason"},
    "module:telemetry:updated": {"moduleId", "telemetry", "lastSeen", "timestamp"},
    "user:module:online": {"moduleId", "online", "status", "lastSeen", "reason"},
    "user:module:offline": {"moduleId", "online", "status", "lastSeen", "reason"},
    "user:module:added": {"action", "moduleId", "module", "timestamp"},
    "user:module:updated": {"action", "moduleId", "module", "timestamp"},
    "user:module:removed": {"action", "module", "moduleId", "timestamp"},
    "user:command:sent": {"moduleId", "command", "id", "timestamp"},
    "user:session:new": {"sessionId", "kind", "address", "timestamp"},
    "user:security:password_changed": {"timestamp"},
    "admin:user:registered": {"user", "timestamp"},
    "admin:user:logged_in": {"user", "timestamp"},
    "admin:user:logged_out": {"user", "timestamp"},
    "admin:user:profile_updated": {"user", "timestamp"},
    "admin:action:performed": {"action", "subject", "adminUserId", "adminName", "details", "timestamp"},
    "system:maintenance": {"inMaintenance", "reason", "adminUserId", "timestamp"},
    "firmware:job:updated": {
        "id", "module", "firmware_id", "state", "received", "size", "since", "created_at", "attempt", "due",
        "error", "by", "rollout_id", "rate", "eta",
    },
    "firmware:rollout:updated": {
        "id", "name", "firmware_id", "state", "reason", "wave", "wave_since", "waves", "counts", "progress",
        "created_at", "ended_at", "by",
    },
    "system:alert": {"level", "message", "details", "timestamp"},
}  # fmt: skip


async def test_every_event_reaches_its_audience_and_nobody_else(tmp_path):
    aliases = {alias.alias for alias in ALIASES}
    compat = Compat(DIALECTS)
    async with open_world(tmp_path) as world:
        for happens, expected in EVENTS:
            await happens(world)
            for (who, page), events in (await world.hear()).items():
                documented = [event for event in events if event[0] not in aliases]
                due = {event for event, audience in expected.items() if audience(who, page)}
                assert {event for event, *_ in documented} == due, (happens.__name__, who, page)
                # Every alias right behind what it means, to the same tabs.
                spoken = [said for event, data in documented for said in compat.outgoing(event, data)]
                assert events == spoken, (happens.__name__, who, page)
                for event, data in documented:
                    assert set(data) == FIELDS.get(event, set(data)), event
                    assert set(data.get("user", USER)) == USER
                    assert PASSWORD not in repr(data) and "another password" not in repr(data)


async def test_every_tab_of_a_person_is_there_and_equal(tmp_path):
    async with open_world(tmp_path) as world:
        await world.tabs["olga", "modules"].client.disconnect()
        del world.tabs["olga", "modules"]
        world.core.presence.heard(world.module("HERS"))
        told = await world.hear()
        said = [dict(told["olga", page])["user:module:online"] for page in PAGES if page != "modules"]
        assert len(said) == 4 and all(one == said[0] for one in said)
