"""What is measured of modules over Socket.IO: that MQTT does not feel them, and what an event costs."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

from bench.scenarios import MB, REST_S, Figures, Size, Start, cpu_share, quiet, under_load
from bench.servers import Server, reader, register
from bench.worker import Worker

# The MQTT side of a mixed house.
DEVICES, MESSAGES_A_S = 200, 1000
# Modules over Socket.IO: those that come and go, those that wait, those that stay.
COMERS, HELLOS_A_S, PENDING = 2000, 10_000 / 60, 100
STAYERS, READINGS_A_S, COMMANDS_A_S = 2000, 200, 20
ALL = DEVICES + STAYERS + COMERS
# The audience of events, and what it is told; half of the modules speak MQTT and half Socket.IO.
BROWSERS, ONLINE, FLIPS_A_S, CHANGES_A_S = 100, 1000, 20, 4
STATUS, TELEMETRY = "module:status:changed", "module:telemetry:updated"


async def hellos(start: Start, size: Size) -> Figures:
    """10,000 hellos a minute beside 2,000 modules, 100 pending ones that ask, and the MQTT load."""
    async with (
        under_load(start, ALL) as (server, load),
        Worker("bench.modules") as modules,
    ):
        await prepare(server, load, modules)
        alone = await load.ask("mixed", rate=MESSAGES_A_S, seconds=size.mixed_s)
        await modules.ask("connect", count=STAYERS)
        waiting = await asyncio.to_thread(register, server, PENDING)
        await modules.ask("wait", tokens=waiting)
        await quiet(server)
        coming = modules.ask("hellos", rate=HELLOS_A_S, seconds=size.mixed_s)
        mixed, came = await beside(server, load, size, coming)
        told = await modules.ask("told")
        return figures(alone, mixed) | came | {
            "hello_p50": came["hello"]["p50"], "hello_p99": came["hello"]["p99"],
            "pending_asked": told["asked"],
            "pending_untold": told["asked"] - told.get("MODULE_IS_PENDING", 0),
            "memory_mb": server.memory() / MB, "lost_sessions": await load.ask("lost"),
        }  # fmt: skip


async def stayers(start: Start, size: Size) -> Figures:
    """2,000 modules that stay, with readings and commands now and then, beside the same MQTT load."""
    async with under_load(start, DEVICES + STAYERS) as (server, load), Worker("bench.modules") as modules:
        await prepare(server, load, modules)
        alone = await load.ask("mixed", rate=MESSAGES_A_S, seconds=size.mixed_s / 2)
        await quiet(server)
        before = server.memory()
        connect_s = await modules.ask("connect", count=STAYERS)
        await asyncio.sleep(REST_S)
        with_them = server.memory()
        token = server.browser_token
        # The first reading of a module makes its series; that is not what is measured.
        await modules.ask("work", readings=STAYERS / REST_S, commands=0, seconds=REST_S, token=token)
        await quiet(server)
        from_ms = int(time.time() * 1000)
        words = {"readings": READINGS_A_S, "commands": COMMANDS_A_S, "token": token}
        working = modules.ask("work", seconds=size.mixed_s, **words)
        mixed, worked = await beside(server, load, size, working)
        names = [name for name, _ in server.devices[DEVICES:]]
        stored = await asyncio.to_thread(server.count_stored, server, names, from_ms)
        return figures(alone, mixed) | worked | {
            "module_kb": (with_them - before) / STAYERS / 1024, "connects_per_s": STAYERS / connect_s,
            "command_p50": worked["command"]["p50"], "command_p99": worked["command"]["p99"],
            "stored": stored, "memory_mb": server.memory() / MB,
            "lost_sessions": await load.ask("lost") + worked["lost"],
        }  # fmt: skip


async def prepare(server: Server, load: Worker, modules: Worker) -> None:
    """200 devices on MQTT, a program that hears their events; the other modules are the sockets'."""
    account = await asyncio.to_thread(reader, server)
    await load.ask("listen", **account)
    await load.ask("connect", count=DEVICES)
    await modules.ask("set_up", port=server.web_port, names=server.devices[DEVICES:])
    await load.ask("mixed", rate=MESSAGES_A_S, seconds=REST_S)


async def beside(server: Server, load: Worker, size: Size, other: Awaitable[Any]) -> tuple[Any, Any]:
    """The mixed MQTT load and something else at once; what the two saw."""
    cpu, begin = server.cpu(), time.monotonic()
    mixed, seen = await asyncio.gather(load.ask("mixed", rate=MESSAGES_A_S, seconds=size.mixed_s), other)
    return mixed, seen | {"cpu_percent": (server.cpu() - cpu) / (time.monotonic() - begin) * 100}


def figures(alone: dict[str, Any], mixed: dict[str, Any]) -> Figures:
    """Delays of the MQTT path, by itself and beside the sockets."""
    return {
        f"{when}_{path}_{part}": seen[path][part]
        for when, seen in (("alone", alone), ("mixed", mixed))
        for path in ("puback", "event")
        for part in ("p50", "p99", "max")
    } | {"rate": mixed["rate"], "missing": alone["missing"] + mixed["missing"]}


async def events(start: Start, size: Size) -> Figures:
    """Processor time per event that reaches a browser, with 1 and with 1,000 modules online."""
    found: Figures = {}
    words = {"count": BROWSERS, "page": "modules"}
    async with (
        under_load(start, ONLINE) as (server, load),
        Worker("bench.modules") as modules,
        Worker("bench.browsers") as tabs,
    ):
        await modules.ask("set_up", port=server.web_port, names=server.devices[ONLINE // 2 :])
        await tabs.ask("open", port=server.web_port, token=server.browser_token, **words)
        for name, online in (("one", 1), ("many", ONLINE)):
            await load.ask("connect", count=max(online // 2, 1))
            await modules.ask("connect", count=online // 2)
            await quiet(server)
            idle = await cpu_share(server, size.live_s)
            found[f"{name}_idle_percent"] = idle * 100
            found[f"{name}_status_us"] = await cost(server, tabs, STATUS, idle, flips(load, 1, size))
            found[f"{name}_telemetry_us"] = await cost(server, tabs, TELEMETRY, idle, changes(load, 1, size))
        half = ONLINE // 2
        found["all_status_us"] = await cost(server, tabs, STATUS, idle, flips(load, half, size))
        found["all_telemetry_us"] = await cost(server, tabs, TELEMETRY, idle, changes(load, half, size))
    for event in ("status", "telemetry"):
        for name in ("many", "all"):
            found[f"{name}_{event}_ratio"] = found[f"{name}_{event}_us"] / found[f"one_{event}_us"]
    return found


def flips(load: Worker, modules: int, size: Size) -> Awaitable[Any]:
    return load.ask("flips", devices=modules, rate=FLIPS_A_S, seconds=size.live_s)


def changes(load: Worker, modules: int, size: Size) -> Awaitable[Any]:
    return load.ask("steady", devices=modules, rate=CHANGES_A_S, seconds=size.live_s, base=time.monotonic())


async def cost(server: Server, tabs: Worker, event: str, idle: float, happening: Awaitable[Any]) -> float:
    """Microseconds of the server's processor for each such event that came to a browser.

    Without what passes when nothing happens (`idle`, a part of the processor): each module's own pings.
    """
    await tabs.ask("forget", base=time.monotonic())
    cpu, begin = server.cpu(), time.monotonic()
    await happening
    await asyncio.sleep(REST_S / 2)
    spent = server.cpu() - cpu - idle * (time.monotonic() - begin)
    return float(spent / (await tabs.ask("events"))[event] * 1e6)
