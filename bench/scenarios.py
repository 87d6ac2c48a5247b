"""What is measured. Each scenario starts its server afresh; its figures carry their units in their names."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bench.servers import Server
from bench.timing import quantile
from bench.worker import Worker

Start = Callable[[int], AbstractAsyncContextManager[Server]]
Figures = dict[str, Any]
MB = 2**20
FEW, MANY = 10, 2000
REST_S = 2.0
PILOT, MOST = 2_000, 1_000_000


@dataclass(frozen=True)
class Size:
    """How long a run is."""

    rounds: int
    flood_s: float
    live_s: float
    lone_readings: int
    pings: int
    idle_s: float
    mixed_s: float


FULL = Size(rounds=3, flood_s=3, live_s=20, lone_readings=40, pings=1000, idle_s=10, mixed_s=60)
QUICK = Size(rounds=1, flood_s=1, live_s=8, lone_readings=20, pings=200, idle_s=5, mixed_s=10)


@asynccontextmanager
async def under_load(start: Start, devices: int) -> AsyncIterator[tuple[Server, Worker]]:
    async with start(devices) as server, Worker("bench.load") as load:
        habits = {"watch_end": server.watch_end, "births": server.births}
        await load.ask("set_up", port=server.mqtt_port, names=server.devices, **habits)
        yield server, load


async def ingest(start: Start, size: Size) -> Figures:
    """Readings of 51 bytes from 10 devices, with 10 and with 2,000 connected and subscribed, in turns."""
    rates: dict[tuple[int, int], list[float]] = {(qos, count): [] for qos in (0, 1) for count in (FEW, MANY)}
    async with under_load(start, MANY) as (server, load):
        for _ in range(size.rounds):
            for count in (FEW, MANY):
                await load.ask("connect", count=count)
                for qos in (0, 1):
                    await quiet(server)
                    rates[qos, count].append(await flood(load, qos, size.flood_s))
        lost = await load.ask("lost")
        memory = server.memory()
    best = {key: statistics.median(values) for key, values in rates.items()}
    return {
        "qos0_few": best[0, FEW], "qos0_many": best[0, MANY], "qos0_ratio": best[0, MANY] / best[0, FEW],
        "qos1_few": best[1, FEW], "qos1_many": best[1, MANY], "qos1_ratio": best[1, MANY] / best[1, FEW],
        "memory_mb": memory / MB, "lost_sessions": lost,
    }  # fmt: skip


async def flood(load: Worker, qos: int, seconds: float) -> float:
    """Messages a second, over about so many seconds; a short flood first tells how many that is."""
    pilot = await load.ask("flood", count=PILOT, publishers=FEW, qos=qos)
    count = int(min(max(pilot["rate"] * seconds, PILOT), MOST))
    return float((await load.ask("flood", count=count, publishers=FEW, qos=qos))["rate"])


async def quiet(server: Server) -> None:
    """Until the server has done what is left of the step before: comings and goings, writes behind."""
    for _ in range(60):
        if await cpu_share(server, REST_S / 4) < 0.05:
            return


async def crowd(start: Start, size: Size) -> Figures:
    """Idle figures: memory and processor alone, with 100, 1,000 and 2,000 devices."""
    async with under_load(start, MANY) as (server, load):
        await asyncio.sleep(REST_S)
        alone = server.memory()
        await load.ask("connect", count=100)
        await asyncio.sleep(REST_S)
        idle_cpu = await cpu_share(server, size.idle_s)
        await load.ask("connect", count=1000)
        await asyncio.sleep(REST_S)
        thousand = server.memory()
        connect_s = await load.ask("connect", count=MANY)
        await asyncio.sleep(REST_S)
        many = server.memory()
    return {
        "idle_mb": alone / MB, "thousand_mb": thousand / MB, "many_mb": many / MB,
        "device_kb": (many - alone) / MANY / 1024, "idle_cpu_percent": idle_cpu * 100,
        "connects_per_s": (MANY - 1000) / connect_s,
    }  # fmt: skip


async def house(start: Start, size: Size) -> Figures:
    """1,000 idle devices and 200 browsers that have just opened the list of all of them."""
    async with under_load(start, 1000) as (server, load), Worker("bench.browsers") as browsers:
        await load.ask("connect", count=1000)
        await asyncio.sleep(REST_S)
        before = server.memory()
        await browsers.ask("open", port=server.web_port, count=200, token=server.browser_token)
        await asyncio.sleep(REST_S)
        pings = sorted(await load.ask("ping", count=size.pings))
        return {
            "ping_p50_ms": quantile(pings, 0.5), "ping_p99_ms": quantile(pings, 0.99),
            "before_mb": before / MB, "memory_mb": server.memory() / MB,
            "browser_kb": (server.memory() - before) / 200 / 1024,
        }  # fmt: skip


async def cpu_share(server: Server, seconds: float) -> float:
    before, begin = server.cpu(), time.monotonic()
    await asyncio.sleep(seconds)
    return (server.cpu() - before) / (time.monotonic() - begin)


async def lone(start: Start, size: Size) -> Figures:
    """One device, one browser, two readings a second: from before the publish to the browser's frame."""
    return await watched(start, devices=1, browsers=1, rate=2, seconds=size.lone_readings / 2)


async def live(start: Start, size: Size) -> Figures:
    """1,000 readings a second from 1,000 devices, 50 browsers that watch everything."""
    return await watched(start, devices=1000, browsers=50, rate=1000, seconds=size.live_s)


async def chatty(start: Start, size: Size) -> Figures:
    """100 devices that talk far more than a person can read: 2,000 readings a second, 50 browsers."""
    return await watched(start, devices=100, browsers=50, rate=2000, seconds=size.live_s / 2)


async def watched(start: Start, *, devices: int, browsers: int, rate: float, seconds: float) -> Figures:
    async with under_load(start, devices) as (server, load), Worker("bench.browsers") as tabs:
        await load.ask("connect", count=devices)
        await tabs.ask("open", port=server.web_port, count=browsers, token=server.browser_token)
        await load.ask("steady", devices=devices, rate=rate, seconds=REST_S, base=time.monotonic())
        await asyncio.sleep(REST_S)
        base, cpu, from_ms = time.monotonic(), server.cpu(), int(time.time() * 1000)
        await tabs.ask("forget", base=base)
        sent = await load.ask("steady", devices=devices, rate=rate, seconds=seconds, base=base)
        spent = server.cpu() - cpu
        seen = await tabs.ask("settle", last=sent["last"], timeout_s=10)
        await asyncio.sleep(REST_S)
        names = [name for name, _ in server.devices]
        return seen | {
            "stored": await asyncio.to_thread(server.count_stored, server, names, from_ms),
            "sent": sent["messages"],
            "rate": sent["messages"] / sent["seconds"],
            "expected": sent["messages"] * browsers,
            "cpu_percent": spent / sent["seconds"] * 100,
            "memory_mb": server.memory() / MB,
            "lost_sessions": await load.ask("lost"),
        }
