"""The dialect `module.register`, by python-socketio's client against the running house."""

import asyncio
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from tests.bridge.house import device, open_house, until
from tests.bridge.sockets.tabs import serve, tab
from tests.gateway.core.heart import ADMIN, GENERIC, LED, TECHNICIAN, application, approved

pytestmark = pytest.mark.anyio
WEATHER = 8


@asynccontextmanager
async def open_world(folder, **settings):
    async with open_house(folder, **settings) as house, serve(house) as address:
        yield house, address


async def greeted(socket, token, event="module.register"):
    await socket.say(event, {"token": token})
    _, answer = await socket.hear(event)
    return answer


async def heard_nothing_more(socket):
    """What was said before has been handled: a hello with no token is answered after it."""
    await socket.say("module.register", {"token": ""})
    said = []
    while True:
        event, *data = await socket.events.get()
        if (event, data) == ("module.error", [{"error": "MODULE_NOT_FOUND"}]):
            return said
        if event != "module.register":
            said.append((event, *data))


@pytest.mark.parametrize("transports", [("websocket",), ("polling",)])
@pytest.mark.parametrize(
    ("event", "pending", "status"),
    [("module.register", "MODULE_IS_PENDING", 2), ("module.connect", "MODULE_NOT_VALIDATED", 1)],
)
async def test_from_registration_to_revocation(tmp_path, event, pending, status, transports):
    async with open_world(tmp_path) as (house, address):
        async with httpx.AsyncClient(base_url=address) as http:
            answer = await http.post("/modules", data={"type": "0"})
        assert answer.status_code == 200
        token, id = answer.json()["token"], answer.json()["id"]
        async with tab(address, transports=transports) as strip:
            for _ in range(2):
                await strip.say(event, {"token": token})
                assert await strip.hear(event, "module.error") == ("module.error", {"error": pending})
            await strip.say("module.0.color", {"red": 1, "green": 2, "blue": 3})
            assert (await strip.hear("module.error"))[1]["error"] == "EVENT_NOT_ALLOWED"
            await house.core.decisions.approve([id], TECHNICIAN)
            about = {"id": id, "type": 0} if event == "module.register" else {}
            assert (await strip.hear(event))[1] == {"status": status} | about
            assert house.core.presence.of(id).state == "online"
            await house.core.registry.revoke(id, TECHNICIAN)
            async with asyncio.timeout(5):
                await strip.gone.wait()
        assert house.core.presence.of(id).state == "offline"
        assert house.core.presence.of(id).reason == "revoked"
        async with tab(address, transports=transports) as strip:
            assert await greeted(strip, token, event) == {"status": 0, "error": "MODULE_NOT_FOUND"}
            assert (await strip.hear("module.error"))[1] == {"error": "MODULE_NOT_FOUND"}


NO_TOKENS = [
    None, {}, [], "token", 5, {"token": None}, {"token": ""}, {"token": 5}, {"token": ["x"]}, {"token": {}},
    {"token": "x" * 43}, {"token": True},
]  # fmt: skip


@pytest.mark.parametrize("data", NO_TOKENS)
async def test_what_is_no_token_matches_nothing(tmp_path, data):
    async with open_world(tmp_path) as (house, address), tab(address) as socket:
        await house.core.decisions.declare(
            [{"serial": "KEYED", "type": 0}], TECHNICIAN, with_token=False
        )
        await socket.say("module.register", data)
        assert (await socket.hear("module.register"))[1] == {"status": 0, "error": "MODULE_NOT_FOUND"}


async def test_the_last_loop_or_else_the_last_colour_comes_after_the_welcome(tmp_path):
    async with open_world(tmp_path) as (house, address):
        _, token = await approved(house.core, "STRIP", LED)
        red = {"red": 255, "green": 0, "blue": 0}
        async with tab(address) as strip:
            assert (await greeted(strip, token))["status"] == 2
            await house.core.commands.send("STRIP", "color", red, "tom")
            assert await strip.hear("module.0.color") == ("module.0.color", red)
            await house.core.commands.send("STRIP", "loop", {"loop": "c(1,2,3)|w(10)"}, "tom")
            assert (await strip.hear("module.0.loop"))[1] == {"loop": "c(1,2,3)|w(10)"}
        expected = [("module.0.loop", {"loop": "c(1,2,3)|w(10)"}), ("module.0.color", red)]
        for name, data in expected:
            async with tab(address) as strip:
                await strip.say("module.register", {"token": token})
                first, second = await strip.events.get(), await strip.events.get()
                assert first[0] == "module.register" and first[1]["status"] == 2
                assert second == (name, data)
                # Without its one argument the loop stops, and the event comes without any.
                await house.core.commands.send("STRIP", "loop", {}, "tom")
                assert await strip.hear("module.0.loop") == ("module.0.loop",)
    async with open_world(tmp_path) as (house, address), tab(address) as strip:
        await strip.say("module.register", {"token": token})
        assert (await strip.hear("module.0.color"))[1] == red


async def test_a_colour_chosen_on_the_strip_itself_stands_too(tmp_path):
    async with open_world(tmp_path) as (house, address):
        _, token = await approved(house.core, "STRIP", LED)
        blue = {"red": 0, "green": 0, "blue": 255}
        async with tab(address) as strip:
            await greeted(strip, token)
            await strip.say("module.0.color", blue)
            await until(lambda: house.core.standing.of("STRIP"))
        async with tab(address) as strip:
            await greeted(strip, token)
            assert (await strip.hear("module.0.color"))[1] == blue


async def test_what_waits_comes_after_the_welcome_in_order_and_is_done(tmp_path):
    async with open_world(tmp_path) as (house, address):
        _, token = await approved(house.core, "GATE", 1)
        names = ["gates_open", "harness_lock", "dispatch"]
        for name in names:
            await house.core.commands.send("GATE", name, {}, "tom")
        async with tab(address) as gate:
            await greeted(gate, token)
            for name in names:
                assert await gate.hear(f"module.1.{name}") == (f"module.1.{name}",)
            await until(lambda: {c.status for c in house.core.commands.of("GATE")} == {"done"})


async def test_readings_and_events_by_type(tmp_path):
    async with open_world(tmp_path) as (house, address):
        _, token = await approved(house.core, "WX", WEATHER)
        async with tab(address) as station:
            await greeted(station, token)
            await station.say("module.8.weather", {"temperature": 21.5, "Unit": "C", "Value": 21.5})
            await station.say("module.8.telemetry", {"humidity": 40, "unknown": 1})
            await station.say("module.8.telemetry", [{"ts": 1, "values": {"rain": 2}}])
            await until(lambda: "rain" in house.core.telemetry.latest("WX"))
            assert house.core.telemetry.latest("WX") == {"temperature": 21.5, "humidity": 40, "rain": 2}
            for event, data in [
                ("module.8.storm", {}), ("module.7.weather", {}), ("module.weather", {}), ("module.", {}),
                ("module.8.", {}), ("module.08.weather", {}), ("module.8.weather", {"temperature": "hot"}),
                ("module.8.weather", [1]), ("module.8.weather", "x"), ("module.8.telemetry", 5),
                ("module.8.weather", {"owner_id": 1}), ("module.8.weather", {"Unit": "x" * 200_000}),
                ("module.8.telemetry", [{}] * 1001), ("module.error", {}), ("module.8.weather.x", {}),
            ]:  # fmt: skip
                await station.say(event, data)
                assert (await station.hear("module.error"))[1]["error"] == "EVENT_NOT_ALLOWED", event
            assert house.core.presence.of("WX").state == "online"


async def test_events_before_the_hello_are_refused(tmp_path):
    async with open_world(tmp_path) as (house, address), tab(address) as stranger:
        await approved(house.core, "WX", WEATHER)
        await stranger.say("module.8.weather", {"temperature": 1})
        assert (await stranger.hear("module.error"))[1]["error"] == "EVENT_NOT_ALLOWED"
        assert house.core.telemetry.latest("WX") == {}


async def test_the_newest_session_wins_and_a_late_goodbye_does_no_harm(tmp_path):
    async with open_world(tmp_path) as (house, address):
        _, token = await approved(house.core, "M")
        async with tab(address) as first, tab(address) as second:
            await greeted(first, token)
            await greeted(second, token)
            async with asyncio.timeout(5):
                await first.gone.wait()
            assert house.core.presence.of("M").state == "online"
            await house.core.commands.send("M", "set", {"values": {"a": 1}}, "tom")
            assert (await second.hear("module.7.set"))[1] == {"values": {"a": 1}}
        await until(lambda: house.core.presence.of("M").state == "offline")
        assert house.core.presence.of("M").reason in ("goodbye", "will")


async def test_one_socket_may_become_another_module(tmp_path):
    async with open_world(tmp_path) as (house, address), tab(address) as socket:
        _, one = await approved(house.core, "ONE")
        _, two = await approved(house.core, "TWO")
        await greeted(socket, one)
        await greeted(socket, two)
        await until(lambda: house.core.presence.of("ONE").state == "offline")
        await socket.say("module.7.telemetry", {"a": 1})
        await until(lambda: house.core.telemetry.latest("TWO"))
        assert house.core.telemetry.latest("ONE") == {}


async def test_the_same_module_over_mqtt_and_sockets_is_one(tmp_path):
    async with open_world(tmp_path) as (house, address):
        _, token = await approved(house.core, "M", GENERIC)
        async with device(house, "M", token) as wire, tab(address) as socket:
            await wire.subscribe("M/down/#")
            await greeted(socket, token)
            await wire.say("M/up/telemetry", {"a": 1})
            await socket.say("module.7.telemetry", {"b": 2})
            await until(lambda: house.core.telemetry.latest("M") == {"a": 1, "b": 2})
            await house.core.commands.send("M", "set", {"values": {"c": 3}}, "tom")
            # The first transport that has it takes the command, and no other.
            topic, command = await wire.hear()
            assert (topic, command["command"]) == ("M/down/command", "set")
            assert await heard_nothing_more(socket) == []


async def test_a_rejected_newcomer_hears_it_and_may_come_again_over_the_same_socket(tmp_path):
    async with open_world(tmp_path) as (house, address), tab(address) as socket:
        granted = await house.core.enrolment.register(application("NEW"), "127.0.0.1")
        await socket.say("module.register", {"token": granted.token})
        await socket.hear("module.error")
        await house.core.decisions.reject(["NEW"], TECHNICIAN)
        assert (await socket.hear("module.register"))[1] == {"status": 0, "error": "MODULE_NOT_FOUND"}
        _, token = await approved(house.core, "OTHER")
        assert (await greeted(socket, token))["status"] == 2


async def test_one_whose_time_ran_out_hears_it(tmp_path):
    async with open_world(tmp_path, pending_ttl=2) as (house, address), tab(address) as socket:
        granted = await house.core.enrolment.register(application("NEW"), "127.0.0.1")
        await socket.say("module.register", {"token": granted.token})
        assert (await socket.hear("module.error"))[1] == {"error": "MODULE_IS_PENDING"}
        assert (await socket.hear("module.register"))[1] == {"status": 0, "error": "MODULE_NOT_FOUND"}


async def test_a_re_enrolment_waits_and_takes_the_module_over(tmp_path):
    async with open_world(tmp_path) as (house, address):
        _, old = await approved(house.core, "M")
        granted = await house.core.enrolment.register(application("M"), "10.0.0.2")
        async with tab(address) as module, tab(address) as claimant:
            await greeted(module, old)
            await claimant.say("module.register", {"token": granted.token})
            assert (await claimant.hear("module.error"))[1] == {"error": "MODULE_IS_PENDING"}
            assert house.core.presence.of("M").state == "online"
            await house.core.decisions.approve(["M"], TECHNICIAN)
            assert (await claimant.hear("module.register"))[1]["status"] == 2
            async with asyncio.timeout(5):
                await module.gone.wait()
            assert not claimant.gone.is_set()
            assert house.core.presence.of("M").state == "online"


async def test_a_rotated_token_opens_and_ends_the_old_one(tmp_path):
    async with open_world(tmp_path) as (house, address):
        _, old = await approved(house.core, "M")
        new = await house.core.registry.rotate_token("M", ADMIN)
        async with tab(address) as socket:
            assert (await greeted(socket, old))["status"] == 2
            assert (await greeted(socket, new))["status"] == 2
            assert (await greeted(socket, old))["status"] == 0


async def test_without_compat_the_old_hello_is_no_event(tmp_path):
    async with open_world(tmp_path, compat="clients,browsers") as (house, address), tab(address) as socket:
        _, token = await approved(house.core, "M")
        await socket.say("module.connect", {"token": token})
        assert (await socket.hear("module.connect", "module.error"))[1]["error"] == "EVENT_NOT_ALLOWED"


async def test_a_socket_that_answers_pings_stays_online(tmp_path, monkeypatch):
    monkeypatch.setattr("bridge.sockets.live.LISTEN_EVERY_S", 0.05)
    async with open_world(tmp_path) as (house, address), tab(address) as socket:
        _, token = await approved(house.core, "M")
        await greeted(socket, token)
        first = house.core.presence.of("M").last_seen_ms
        await until(lambda: house.core.presence.of("M").last_seen_ms > first)


async def test_a_deleted_module_s_socket_ends(tmp_path):
    async with open_world(tmp_path) as (house, address), tab(address) as socket:
        _, token = await approved(house.core, "M")
        await greeted(socket, token)
        await house.core.registry.delete("M", TECHNICIAN)
        async with asyncio.timeout(5):
            await socket.gone.wait()


async def test_floods_are_dropped_and_counted_and_the_socket_lives(tmp_path):
    async with open_world(tmp_path, rate_limits=True) as (house, address), tab(address) as socket:
        _, token = await approved(house.core, "M")
        await greeted(socket, token)
        for number in range(1500):
            await socket.say("module.7.telemetry", {"n": number})
        await until(lambda: house.core.telemetry.received >= 500)
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await socket.gone.wait()
        assert not socket.gone.is_set()
        assert house.core.telemetry.received < 1500
