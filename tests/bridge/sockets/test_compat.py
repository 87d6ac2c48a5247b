"""Aliases: one table, and what is turned off is neither understood nor spoken."""

from itertools import combinations

import pytest

from bridge.sockets.compat import ALIASES, NO_ALIASES, Compat
from gateway.settings import DIALECTS
from tests.bridge.house import open_house
from tests.bridge.sockets.tabs import serve, tab
from tests.bridge.sockets.test_browsers import open_world
from tests.gateway.core.heart import LED, approved

NOON_MS, NOON = 1_763_726_400_123, "2025-11-21T12:00:00.123Z"
MODULE = {"id": "A", "name": "Mill", "type": 7, "last_seen": NOON_MS}
# A payload as it is said for each documented event that has aliases.
SAID = {
    "instance.to.client": {"action": "forward", "parameters": {"sender": 5, "parameters": {"a": 1}}},
    "instance.to.node": {"action": "forward", "parameters": {"sender": 5, "parameters": {"a": 1}}},
    "module:status:changed": {"moduleId": "A", "online": True, "lastSeen": NOON_MS, "status": "online"},
    "module:telemetry:updated": {
        "moduleId": "A", "telemetry": {"t": 1, "moduleId": "B"}, "lastSeen": NOON_MS, "timestamp": 5
    },
    "admin:stats:updated": {"stats": {"browsers": 1}},
} | {
    f"{who}:module:{what}": {"action": what, "moduleId": "A", "timestamp": 5}
    | ({} if what == "removed" else {"module": MODULE})
    for who in ("user", "admin") for what in ("added", "removed", "updated")
} | {
    f"admin:user:{what}": {"user": {"id": 1}, "timestamp": 5}
    for what in ("registered", "logged_in", "logged_out", "profile_updated")
}  # fmt: skip
SETS = [frozenset(some) for n in range(len(DIALECTS) + 1) for some in combinations(sorted(DIALECTS), n)]


@pytest.mark.parametrize("dialects", SETS, ids=lambda some: "+".join(sorted(some)) or "off")
def test_only_the_dialects_that_are_on_have_aliases(dialects):
    compat = Compat(dialects)
    for alias in ALIASES:
        is_on = alias.dialect in dialects
        if alias.direction == "up":
            assert compat.understands(alias.alias) is is_on
            assert compat.incoming(alias.alias) == (alias.documented if is_on else alias.alias)
            assert not compat.understands(alias.documented)
        else:
            said = [(alias.documented, SAID[alias.documented] | {"online": on}) for on in (True, False)]
            names = {name for event, data in said for name, _ in compat.outgoing(event, data)}
            assert (alias.alias in names) is is_on
    for event, data in SAID.items():
        first, *_ = compat.outgoing(event, data)
        assert first == (event, data)
        assert len(list(NO_ALIASES.outgoing(event, data))) == 1


def test_an_event_is_documented_or_an_alias_never_both():
    documented = {alias.documented for alias in ALIASES}
    assert not documented & {alias.alias for alias in ALIASES}
    assert {alias.dialect for alias in ALIASES} == DIALECTS


def spoken(event, **changes):
    data = SAID[event] | changes
    return dict(list(Compat(DIALECTS).outgoing(event, data))[1:])


def test_what_is_said_in_the_words_of_the_field():
    online = SAID["module:status:changed"] | {"lastSeenFormatted": NOON}
    assert spoken("module:status:changed") == {"rt_module_online": online}
    offline = {"moduleId": "A", "online": False, "lastSeen": None, "status": "offline"}
    assert spoken("module:status:changed", **offline) == {
        "rt_module_offline": offline | {"lastSeenFormatted": None}
    }
    update = SAID["module:telemetry:updated"]
    assert spoken("module:telemetry:updated") == {
        "rt_telemetry_updated": update | {"lastSeenFormatted": NOON},
        "module_telemetry": {"moduleId": "A", "t": 1, "timestamp": 5},
    }
    (added,) = spoken("user:module:added").items()
    assert added[0] == "rt_module_added" and added[1]["name"] == "Mill" and added[1]["module"] == MODULE
    assert (added[1]["lastSeen"], added[1]["lastSeenFormatted"]) == (NOON_MS, NOON)
    assert spoken("admin:module:removed") == {"rt_module_removed": SAID["admin:module:removed"]}
    assert spoken("admin:stats:updated") == {"rt_global_stats_updated": SAID["admin:stats:updated"]}
    envelope = SAID["instance.to.client"]
    assert spoken("instance.to.client") == {
        "instace.to.client": envelope, "node.to.client": {"sender": 5, "content": {"a": 1}}
    }  # fmt: skip
    assert spoken("instance.to.client", action="logged", parameters={}) == {
        "instace.to.client": envelope | {"action": "logged", "parameters": {}}
    }
    assert spoken("instance.to.node") == {"client.to.node": {"sender": 5, "content": {"a": 1}}}


@pytest.mark.anyio
@pytest.mark.parametrize("compat", ["on", "off", "modules,clients", "browsers"])
async def test_browsers_hear_aliases_only_where_they_are_on(tmp_path, compat):
    is_on = compat in ("on", "browsers")
    async with (
        open_world(tmp_path, compat=compat) as (house, address, cookies),
        tab(address, cookies["olga"]) as olga,
    ):
        await olga.say("client:authenticate", {"page": "modules"})
        await olga.hear("module_states_sync")
        wish = {"moduleId": "HERS", "command": "set", "params": {"values": {"a": 1}}}
        await olga.say("module_command", wish)
        hers = house.core.registry.get("HERS")
        house.core.presence.heard(hers)
        house.core.telemetry.report(hers, {"a": 1})
        await olga.hear("module:telemetry:updated")
        await olga.say("request_module_states")
        heard = []
        while (event := (await olga.events.get()))[0] != "module_states_sync":
            heard.append(event[0])
        aliases = {alias.alias for alias in ALIASES}
        assert bool(aliases & set(heard)) is is_on
        assert len(house.core.commands.of("HERS")) == is_on
        assert is_on or ("command_sent" not in heard and "command_error" not in heard)


@pytest.mark.anyio
@pytest.mark.parametrize("compat", ["on", "off", "clients,browsers", "modules"])
async def test_the_old_hello_is_understood_only_where_it_is_on(tmp_path, compat):
    async with open_house(tmp_path, compat=compat) as house, serve(house) as address:
        _, token = await approved(house.core, "LED-1", type=LED)
        async with tab(address) as module:
            await module.say("module.connect", {"token": token})
            await module.say("module.register", {"token": token})
            first, answer = await module.hear("module.connect", "module.register")
            understood = compat in ("on", "modules")
            expected = ("module.connect", 1) if understood else ("module.register", 2)
            assert (first, answer["status"]) == expected
