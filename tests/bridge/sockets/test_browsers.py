"""Browsers over real Socket.IO on a real web server."""

from contextlib import asynccontextmanager

import anyio
import pytest
import socketio

from bridge.sockets.strangers import REFUSED_S
from gateway.core.rights import Role
from tests.bridge.house import open_house
from tests.bridge.sockets.tabs import PATIENCE_S, serve, tab
from tests.gateway.core.heart import PASSWORD, TECHNICIAN, approved

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def open_world(folder, **settings):
    """A house with an admin, an owner and a stranger, their cookies, and two modules, one the owner's."""
    async with open_house(folder, **settings) as house, serve(house) as address:
        core = house.core
        await core.accounts.set_up(core.accounts.setup_secret, "ann", PASSWORD)
        for name in ("olga", "sam"):
            await core.accounts.people.add(name, PASSWORD, Role.USER, "ann")
        cookies = {
            name: (await core.accounts.log_in(name, PASSWORD, "x"))[1] for name in ("ann", "olga", "sam")
        }
        await approved(core, "HERS", owner_id=core.accounts.people.named("olga").id)
        await approved(core, "HOUSE")
        yield house, address, cookies


@pytest.mark.parametrize("transports", [("websocket",), ("polling",)])
async def test_a_browser_sees_its_modules_and_their_changes_and_no_others(tmp_path, transports):
    async with (
        open_world(tmp_path) as (house, address, cookies), tab(address, cookies["ann"], transports) as ann,
        tab(address, cookies["olga"], transports) as olga, tab(address, cookies["sam"], transports) as sam,
    ):  # fmt: skip
        seen = {}
        for name, one in (("ann", ann), ("olga", olga), ("sam", sam)):
            await one.say("client:authenticate", {"page": "modules"})
            assert (await one.hear("client:auth:success", "client:auth:error"))[0] == "client:auth:success"
            await one.say("modules:watch", {})
            seen[name] = set((await one.hear("modules:snapshot"))[1]["modules"])
        assert seen == {"ann": {"HERS", "HOUSE"}, "olga": {"HERS"}, "sam": set()}
        hers, ours = house.core.registry.get("HERS"), house.core.registry.get("HOUSE")
        house.core.telemetry.report(ours, {"a": 1})
        house.core.telemetry.report(hers, {"a": 1})
        _, update = await olga.hear("module:telemetry:updated")
        assert (update["moduleId"], update["telemetry"]) == ("HERS", {"a": 1})
        _, change = await olga.hear("modules:changes")
        assert change["modules"]["HERS"]["telemetry"] == {"a": 1} and "HOUSE" not in change["modules"]
        house.core.presence.heard(hers)
        house.core.presence.heard(ours)
        assert (await olga.hear("module:status:changed"))[1]["moduleId"] == "HERS"
        await sam.say("request_module_states")
        assert (await sam.hear("module_states_sync"))[1]["states"] == []
        assert "modules:changes" not in sam.passed() and "module:status:changed" not in olga.passed()


async def test_one_who_comes_back_gets_what_he_missed(tmp_path):
    async with open_world(tmp_path) as (house, address, cookies):
        hers = house.core.registry.get("HERS")
        async with tab(address, cookies["olga"]) as olga:
            await olga.say("modules:watch", {})
            seq = (await olga.hear("modules:snapshot"))[1]["seq"]
        house.core.telemetry.report(hers, {"a": 1})
        async with tab(address, cookies["olga"]) as olga:
            await olga.say("modules:watch", {"since": seq})
            event, change = await olga.hear("modules:snapshot", "modules:changes")
            assert (event, change["modules"]["HERS"]["telemetry"]) == ("modules:changes", {"a": 1})


async def test_commands_are_sent_by_those_who_see_the_module(tmp_path):
    async with (
        open_world(tmp_path) as (house, address, cookies), tab(address, cookies["olga"]) as olga,
        tab(address, cookies["sam"]) as sam,
    ):  # fmt: skip
        wish = {"moduleId": "HERS", "command": "set", "params": {"values": {"a": 1}}}
        await olga.say("send_module_command", wish)
        _, sent = await olga.hear("command_sent", "command_error")
        assert house.core.commands.get(sent["id"], "HERS").by == "olga"
        await sam.say("module_command", wish)
        assert (await sam.hear("command_sent", "command_error"))[1]["error"] == "not_found"
        for wrong in (None, [], "x", {"moduleId": 5}, wish | {"params": [1]}, wish | {"command": "explode"}):
            await olga.say("module_command", wrong)
            assert (await olga.hear("command_sent", "command_error"))[0] == "command_error"
        assert len(house.core.commands.of("HERS")) == 1


async def test_saying_to_be_somebody_makes_nobody_more(tmp_path):
    async with open_world(tmp_path) as (house, address, cookies), tab(address, cookies["sam"]) as sam:
        for claim in ({"userId": 1}, {"userId": "1"}, {"userType": "admin"}):
            await sam.say("client:authenticate", claim | {"page": "admin"})
            assert (await sam.hear("client:auth:error", "client:auth:success"))[0] == "client:auth:error"
        me = house.core.accounts.people.named("sam").id
        await sam.say("client:authenticate", {"userId": str(me), "page": "admin"})
        assert (await sam.hear("client:auth:error", "client:auth:success"))[0] == "client:auth:success"
        house.core.telemetry.report(house.core.registry.get("HOUSE"), {"a": 1})
        await sam.say("request_module_states")
        await sam.hear("module_states_sync")
        assert sam.passed() == []


@pytest.mark.parametrize("way", ["log out", "everywhere", "role", "password"])
async def test_the_sockets_of_a_session_that_ended_are_closed(tmp_path, way):
    async with open_world(tmp_path) as (house, address, cookies):
        accounts = house.core.accounts
        session, person = accounts.sessions.find(cookies["olga"])
        other, token = await accounts.log_in("olga", PASSWORD, "y")
        async with tab(address, cookies["olga"]) as olga, tab(address, cookies["sam"]) as sam:
            if way == "log out":
                await accounts.sessions.close(session, "olga")
            elif way == "everywhere":
                await accounts.sessions.close_all(person.id, "olga")
            elif way == "role":
                await accounts.people.edit(
                    person.id, accounts.people.named("ann").person, role=Role.TECHNICIAN
                )
            else:
                await accounts.change_password(other, PASSWORD, "another password", "y")
            with anyio.fail_after(5):
                await olga.gone.wait()
            assert not sam.gone.is_set()
        if way in ("log out", "password"):
            async with tab(address, token) as olga:
                await olga.say("modules:watch", {})
                await olga.hear("modules:snapshot")


async def test_who_shows_no_session_is_told_and_learns_nothing(tmp_path):
    async with open_world(tmp_path) as (house, address, cookies):
        async with tab(address) as stranger:
            for event in ("modules:watch", "request_module_states", "client:sync:request", "module_command"):
                await stranger.say(event, {"moduleId": "HERS", "command": "set", "params": {}})
            house.core.telemetry.report(house.core.registry.get("HERS"), {"a": 1})
            await stranger.say("client:authenticate", {"userId": 1, "userType": "admin", "page": "admin"})
            assert await stranger.hear("client:auth:error")
            assert stranger.passed() == []
        for proof in ({"auth": {"token": "x" * 43}}, {"auth": {"token": "a.b.c"}}, {"cookie": "x" * 43}):
            with pytest.raises(socketio.exceptions.ConnectionError):
                async with tab(address, **proof):
                    pass
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with tab(address, cookies["ann"], headers={"Origin": "http://evil.example"}):
                pass
        async with tab(address, cookies["ann"], headers={"Origin": address}) as ann:
            await ann.say("modules:watch", {})
            await ann.hear("modules:snapshot")
        issued = await house.core.accounts.issue_tokens("olga", PASSWORD, "x")
        async with tab(address, auth={"token": issued.access_token}) as olga:
            await olga.say("modules:watch", {})
            assert set((await olga.hear("modules:snapshot"))[1]["modules"]) == {"HERS"}
        await house.core.registry.edit("HERS", TECHNICIAN, name="<b>")


async def test_a_page_may_claim_less_than_its_session_is_and_is_told_how_things_are(tmp_path):
    async with open_world(tmp_path) as (house, address, cookies), tab(address, cookies["ann"]) as ann:
        me = house.core.accounts.people.named("ann")
        await house.core.maintenance.set(True, "new cables", me.person)
        whole = {"userId": str(me.id), "userType": "admin", "sessionId": "abc"}
        less = {"userId": me.id, "userType": "technician"}
        for claim in ({}, {"userType": "user"}, less, whole, None, "x", [1]):
            await ann.say("client:authenticate", claim)
            event, data = await ann.hear("client:auth:success", "client:auth:error")
            assert event == "client:auth:success" and set(data) == {"message", "timestamp"}
            _, states = await ann.hear("module_states_sync")
            assert {state["moduleId"] for state in states["states"]} == {"HERS", "HOUSE"}
            _, told = await ann.hear("system:maintenance")
            assert (told["inMaintenance"], told["reason"], told["adminUserId"]) == (True, "new cables", me.id)
        for claim in ({"userType": "root"}, {"userType": 5}, {"userId": True}, {"userId": me.id + 1}):
            await ann.say("client:authenticate", claim)
            event, data = await ann.hear("client:auth:success", "client:auth:error")
            assert event == "client:auth:error" and set(data) == {"message"}
        async with tab(address, cookies["sam"]) as sam:
            for kind in ("technician", "admin"):
                await sam.say("client:authenticate", {"userType": kind})
                assert (await sam.hear("client:auth:success", "client:auth:error"))[0] == "client:auth:error"


async def test_who_authenticates_without_a_session_is_told_so_and_closed(tmp_path, monkeypatch):
    assert REFUSED_S == 10
    monkeypatch.setattr("bridge.sockets.browsers.REFUSED_S", 0.5)
    async with open_world(tmp_path) as (_, address, _), tab(address) as stranger:
        await stranger.say("client:authenticate", {"userId": 1})
        assert set((await stranger.hear("client:auth:error"))[1]) == {"message"}
        with anyio.fail_after(PATIENCE_S):
            await stranger.gone.wait()


async def test_a_synchronised_page_has_what_a_new_one_has(tmp_path):
    async with open_world(tmp_path) as (house, address, cookies), tab(address, cookies["olga"]) as olga:
        await olga.say("register_page", {"page": "modules"})
        await olga.say("client:page:changed", {"page": "account"})
        house.core.telemetry.report(house.core.registry.get("HERS"), {"a": 1})
        await olga.say("client:sync:request")
        event, snapshot = await olga.hear("modules:snapshot", "module:telemetry:updated")
        assert event == "modules:snapshot" and snapshot["modules"]["HERS"]["telemetry"] == {"a": 1}
        assert set((await olga.hear("client:sync:success"))[1]) == {"timestamp"}
