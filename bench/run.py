"""`make bench`: every scenario, on the gateway and on what one would build instead; tables and verdicts."""

import argparse
import asyncio
import datetime
import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import history, pages, scenarios, servers, sockets, updates
from bench.scenarios import Figures

OPEN_FILES = 20_000
Results = dict[tuple[str, str], Figures]

# Which servers go through which scenario, in the order of running.
PLAN: list[tuple[str, Callable[..., Any], list[Callable[..., Any]]]] = [
    ("crowd", scenarios.crowd, [servers.gateway, servers.aedes, servers.amqtt]),
    ("house", scenarios.house, [servers.gateway, servers.aedes]),
    ("lone", scenarios.lone, [servers.gateway, servers.aedes]),
    ("live", scenarios.live, [servers.gateway, servers.aedes]),
    ("chatty", scenarios.chatty, [servers.gateway, servers.aedes]),
    ("ingest", scenarios.ingest, [servers.gateway, servers.aedes, servers.amqtt, servers.mosquitto]),
    ("hellos", sockets.hellos, [servers.gateway]),
    ("stayers", sockets.stayers, [servers.gateway]),
    ("events", sockets.events, [servers.gateway]),
    ("pages", pages.pages, [servers.gateway]),
    ("reconcile", updates.reconcile, [servers.gateway]),
    ("downloads", updates.downloads, [servers.gateway]),
    ("one_file", updates.one_file, [servers.gateway]),
    ("chunks", updates.chunks, [servers.gateway]),
    ("history", history.history, [servers.gateway]),
]

# The MQTT path by itself, and beside what the scenario does over sockets.
MIXED_ROWS = [
    ("MQTT messages a second", "rate", ",.0f"),
    ("MQTT alone: publish to PUBACK, median, ms", "alone_puback_p50", ".1f"),
    ("   p99, ms", "alone_puback_p99", ".1f"),
    ("MQTT alone: event to a program's MQTT client, median, ms", "alone_event_p50", ".1f"),
    ("   p99, ms", "alone_event_p99", ".1f"),
    ("beside the sockets: publish to PUBACK, median, ms", "mixed_puback_p50", ".1f"),
    ("   p99, ms", "mixed_puback_p99", ".1f"),
    ("   longest, ms", "mixed_puback_max", ".1f"),
    ("beside the sockets: event to the program, median, ms", "mixed_event_p50", ".1f"),
    ("   p99, ms", "mixed_event_p99", ".1f"),
    ("   longest, ms", "mixed_event_max", ".1f"),
    ("acknowledgements and events that did not come", "missing", ",d"),
]

# Rows of each scenario's table: (title, figure, format).
ROWS = {
    "crowd": [
        ("alone, no device connected: memory, MB", "idle_mb", ".0f"),
        ("100 idle devices: processor, % of a core", "idle_cpu_percent", ".1f"),
        ("1,000 idle devices: memory, MB", "thousand_mb", ".0f"),
        ("2,000 idle devices: memory, MB", "many_mb", ".0f"),
        ("memory per connected device, KB", "device_kb", ".1f"),
        ("connects and subscribes a second", "connects_per_s", ",.0f"),
    ],
    "house": [
        ("PINGREQ round trip, median, ms", "ping_p50_ms", ".2f"),
        ("PINGREQ round trip, p99, ms", "ping_p99_ms", ".2f"),
        ("memory before the browsers, MB", "before_mb", ".0f"),
        ("memory with them, MB", "memory_mb", ".0f"),
        ("memory per browser, KB", "browser_kb", ".0f"),
    ],
    "watched": [
        ("readings a second", "rate", ",.0f"),
        ("delay to the browser's frame, median, ms", "p50", ".1f"),
        ("delay, p99, ms", "p99", ".1f"),
        ("delay, longest, ms", "max", ".1f"),
        ("frames to all browsers", "frames", ",d"),
        ("bytes to all browsers", "bytes", ",d"),
        ("screens without a module's newest value", "missing", ",d"),
        ("readings published", "sent", ",d"),
        ("readings in the history afterwards", "stored", ",d"),
        ("processor of the server, % of a core", "cpu_percent", ".1f"),
        ("memory of the server, MB", "memory_mb", ".0f"),
    ],
    "ingest": [
        ("QoS 0, 10 devices connected, messages/s", "qos0_few", ",.0f"),
        ("QoS 0, 2,000 devices connected, messages/s", "qos0_many", ",.0f"),
        ("   ratio", "qos0_ratio", ".2f"),
        ("QoS 1, 10 devices connected, messages/s", "qos1_few", ",.0f"),
        ("QoS 1, 2,000 devices connected, messages/s", "qos1_many", ",.0f"),
        ("   ratio", "qos1_ratio", ".2f"),
        ("sessions the server closed", "lost_sessions", ",d"),
        ("memory afterwards, MB", "memory_mb", ".0f"),
    ],
    "hellos": [
        ("hellos answered a minute", "a_minute", ",.0f"),
        ("connect to answer, median, ms", "hello_p50", ".1f"),
        ("   p99, ms", "hello_p99", ".1f"),
        ("hellos without an answer", "missed", ",d"),
        ("asked by pending modules", "pending_asked", ",d"),
        ("   without an answer", "pending_untold", ",d"),
        *MIXED_ROWS,
        ("processor of the server, % of a core", "cpu_percent", ".1f"),
        ("memory afterwards, MB", "memory_mb", ".0f"),
    ],
    "stayers": [
        ("memory per connected module, KB", "module_kb", ".1f"),
        ("connects and hellos a second", "connects_per_s", ",.0f"),
        ("commands to modules", "commands", ",d"),
        ("   not delivered", "undelivered", ",d"),
        ("command from a browser to the module, median, ms", "command_p50", ".1f"),
        ("   p99, ms", "command_p99", ".1f"),
        ("readings of the modules", "readings", ",d"),
        ("   in the history afterwards", "stored", ",d"),
        *MIXED_ROWS,
        ("processor of the server, % of a core", "cpu_percent", ".1f"),
        ("memory afterwards, MB", "memory_mb", ".0f"),
    ],
    "events": [
        ("1 module online: processor when nothing happens, % of a core", "one_idle_percent", ".1f"),
        ("   a change of status to a browser, microseconds", "one_status_us", ".0f"),
        ("   a reading to a browser, microseconds", "one_telemetry_us", ".0f"),
        ("1,000 online: processor when nothing happens, % of a core", "many_idle_percent", ".1f"),
        ("   a change of status to a browser, microseconds", "many_status_us", ".0f"),
        ("      ratio", "many_status_ratio", ".2f"),
        ("   a reading to a browser, microseconds", "many_telemetry_us", ".0f"),
        ("      ratio", "many_telemetry_ratio", ".2f"),
        ("1,000 online, 500 in turn: a change of status, microseconds", "all_status_us", ".0f"),
        ("      ratio to 1 online", "all_status_ratio", ".2f"),
        ("   a reading, microseconds", "all_telemetry_us", ".0f"),
        ("      ratio to 1 online", "all_telemetry_ratio", ".2f"),
    ],
    "pages": [
        ("1,000 listed: the page from the server, median, ms", "page_ms", ".1f"),
        ("   a part of the list for the script, median, ms", "rows_ms", ".1f"),
        ("   first useful paint in Chromium, median, ms", "paint_ms", ".0f"),
        ("   a reading to the row that shows it, median, ms", "live_ms", ".0f"),
        ("   longest, ms", "live_most_ms", ".0f"),
        ("5,000 listed: longest task while it opens, ms", "opening_task_ms", ".0f"),
        ("   while scrolling, ms (0: none over 50)", "scroll_task_ms", ".0f"),
        ("   while searching, ms (0: none over 50)", "search_task_ms", ".0f"),
        ("   scrolled, pixels", "scrolled_px", ",.0f"),
    ],
    "reconcile": [
        ("the query, median, ms", "look_p50", ".1f"),
        ("   longest, ms", "look_max", ".1f"),
        ("modules found due", "due", ",d"),
    ],
    "downloads": [
        ("until the last board had its image, seconds", "seconds", ".1f"),
        ("   MB a second", "mb_per_s", ".0f"),
        ("images that arrived broken", "broken", ",d"),
        ("memory of the server grew by, MB", "growth_mb", ".1f"),
        ("MQTT alone: publish to PUBACK, p99, ms", "alone_puback_p99", ".1f"),
        ("beside the downloads: median, ms", "mixed_puback_p50", ".1f"),
        ("   p99, ms", "mixed_puback_p99", ".1f"),
        ("   longest, ms", "mixed_puback_max", ".1f"),
        ("   event to the program, p99, ms", "mixed_event_p99", ".1f"),
        ("acknowledgements and events that did not come", "missing", ",d"),
    ],
    "one_file": [
        ("MB a second", "mb_per_s", ",.0f"),
        ("nginx, MB a second", "nginx_mb_per_s", ",.0f"),
        ("   ratio", "of_nginx", ".2f"),
    ],
    "chunks": [
        ("one board alone, seconds", "alone_s", ".1f"),
        ("20 at once: the first, seconds", "first_s", ".1f"),
        ("   the last, seconds", "last_s", ".1f"),
        ("   spread, of the last", "spread", ".2f"),
        ("images that arrived broken", "broken", ",d"),
    ],
}
ROWS["history"] = [
    ("24 h of one key at 1-minute steps, 1 M points in 6 days, median, ms", "day_p50", ".0f"),
    ("   longest, ms", "day_max", ".0f"),
    ("24 h of one key, all 1 M points within them, median, ms", "dense_p50", ".0f"),
    ("2 years of one key at 1-day steps, median, ms", "years_p50", ".0f"),
    ("1 M rows as CSV, seconds", "export_s", ".1f"),
    ("   rows", "export_rows", ",d"),
    ("   memory of the server grew by, MB", "export_growth_mb", ".1f"),
    ("1 M readings summed up and 0.5 M deleted, seconds", "keeping_s", ".1f"),
    ("   the writer held by one step, longest, ms", "hold_max", ".1f"),
    ("   another transaction meanwhile, median, ms", "probe_p50", ".1f"),
    ("   p99, ms", "probe_p99", ".1f"),
    ("   longest, ms", "probe_max", ".1f"),
    ("   wrong sums", "wrong", ",d"),
]
TITLES = {
    "crowd": "Idle crowd",
    "house": "A full house: 1,000 idle devices, 200 browsers that have just opened the list",
    "lone": "A lone reading: 1 device, 1 browser, 2 readings a second",
    "live": "A fleet: 1,000 devices, 1,000 readings a second, 50 browsers",
    "chatty": "Chatterboxes: 100 devices, 2,000 readings a second, 50 browsers",
    "ingest": "Ingest: readings of 51 bytes from 10 of the connected, subscribed devices, nobody watching",
    "hellos": "10,000 module.register hellos a minute, 2,000 modules there, 1,000 MQTT messages a second",
    "stayers": "2,000 Socket.IO modules: 200 readings, 20 commands and 1,000 MQTT messages a second",
    "events": "What an event costs: 100 browsers, 20 changes of status or 4 readings a second",
    "pages": "The list of modules: 1,000 listed; 5,000 scrolled and searched while 200 talk, Chromium",
    "reconcile": "Finding the modules to update: 10,000 modules with 3 updates each, SQLite",
    "downloads": "200 boards fetch 1 MB over HTTP at once, beside 1,000 MQTT messages a second",
    "one_file": "One image of 32 MB over HTTP, again and again",
    "chunks": "An image of 1 MB over MQTT in parts of 1 kB",
    "history": "History: queries, export and upkeep of a million readings, SQLite",
}

# What the gateway must reach: (scenario, words, value from its figures, comparison, limit).
LIMITS: list[tuple[str, str, Callable[[Figures], float], str, float]] = [
    ("ingest", "ingest at QoS 0 with 2,000 devices, of that with 10", lambda f: f["qos0_ratio"], ">=", 0.9),
    ("ingest", "ingest at QoS 1 with 2,000 devices, of that with 10", lambda f: f["qos1_ratio"], ">=", 0.9),
    ("ingest", "sessions closed under load", lambda f: f["lost_sessions"], "<=", 0),
    ("crowd", "memory per connected device, KB", lambda f: f["device_kb"], "<=", 60),
    ("crowd", "idle gateway, MB", lambda f: f["idle_mb"], "<=", 120),
    ("crowd", "1,000 idle devices add, MB", lambda f: f["thousand_mb"] - f["idle_mb"], "<=", 100),
    ("crowd", "100 idle devices, % of a core", lambda f: f["idle_cpu_percent"], "<=", 2),
    ("house", "PINGREQ p99, 1,000 devices and 200 browsers, ms", lambda f: f["ping_p99_ms"], "<=", 50),
    ("house", "memory per browser, KB", lambda f: f["browser_kb"], "<=", 1024),
    ("lone", "a lone reading reaches the browser, median, ms", lambda f: f["p50"], "<=", 10),
    ("live", "fleet: readings published but not in the history", lambda f: f["sent"] - f["stored"], "<=", 0),
    ("live", "fleet: screens without a newest value", lambda f: f["missing"], "<=", 0),
    ("live", "fleet: longest delay to any screen, ms", lambda f: f["max"], "<=", 500),
    ("chatty", "chatterboxes: screens without a newest value", lambda f: f["missing"], "<=", 0),
    ("chatty", "chatterboxes: longest delay to any screen, ms", lambda f: f["max"], "<=", 500),
    ("hellos", "module.register: hellos answered a minute", lambda f: f["a_minute"], ">=", 9900),
    ("hellos", "module.register: hellos without an answer", lambda f: f["missed"], "<=", 0),
    ("hellos", "module.register: pending ones without an answer", lambda f: f["pending_untold"], "<=", 0),
    (
        "hellos",
        "module.register: MQTT p99 meanwhile, to PUBACK, ms",
        lambda f: f["mixed_puback_p99"],
        "<=",
        100,
    ),
    (
        "hellos",
        "module.register: MQTT p99 meanwhile, to a program, ms",
        lambda f: f["mixed_event_p99"],
        "<=",
        100,
    ),
    ("hellos", "module.register: MQTT messages lost", lambda f: f["missing"], "<=", 0),
    (
        "stayers",
        "2,000 on sockets: MQTT p99 meanwhile, to PUBACK, ms",
        lambda f: f["mixed_puback_p99"],
        "<=",
        100,
    ),
    (
        "stayers",
        "2,000 on sockets: MQTT p99 meanwhile, to a program, ms",
        lambda f: f["mixed_event_p99"],
        "<=",
        100,
    ),
    ("stayers", "2,000 on sockets: commands not delivered", lambda f: f["undelivered"], "<=", 0),
    (
        "stayers",
        "2,000 on sockets: readings not in the history",
        lambda f: f["readings"] - f["stored"],
        "<=",
        0,
    ),
    ("stayers", "2,000 on sockets: sessions closed", lambda f: f["lost_sessions"], "<=", 0),
    (
        "events",
        "an event's cost with 1,000 online, of that with 1: status",
        lambda f: f["many_status_ratio"],
        "<=",
        1.5,
    ),
    (
        "events",
        "an event's cost with 1,000 online, of that with 1: reading",
        lambda f: f["many_telemetry_ratio"],
        "<=",
        1.5,
    ),
    ("pages", "1,000 listed: the page from the server, median, ms", lambda f: f["page_ms"], "<=", 50),
    ("pages", "1,000 listed: first useful paint, median, ms", lambda f: f["paint_ms"], "<=", 1000),
    ("pages", "1,000 listed: a reading to its row, median, ms", lambda f: f["live_ms"], "<=", 100),
    ("pages", "5,000 listed: longest task, scrolling, ms", lambda f: f["scroll_task_ms"], "<=", 100),
    ("pages", "5,000 listed: longest task, searching, ms", lambda f: f["search_task_ms"], "<=", 100),
    ("reconcile", "10,000 modules: the reconcile query, median, ms", lambda f: f["look_p50"], "<=", 100),
    (
        "downloads",
        "200 downloads: MQTT p99 meanwhile, to PUBACK, ms",
        lambda f: f["mixed_puback_p99"],
        "<=",
        200,
    ),
    ("downloads", "200 downloads: memory grew by, MB", lambda f: f["growth_mb"], "<=", 50),
    (
        "downloads",
        "200 downloads: broken or MQTT messages lost",
        lambda f: f["broken"] + f["missing"],
        "<=",
        0,
    ),
    ("one_file", "an image over HTTP, of nginx's rate", lambda f: f.get("of_nginx", 1), ">=", 0.3),
    ("chunks", "1 MB over MQTT in parts of 1 kB, alone, seconds", lambda f: f["alone_s"], "<=", 20),
    ("chunks", "20 at once: spread of their times", lambda f: f["spread"], "<=", 0.2),
    ("chunks", "images that arrived broken", lambda f: f["broken"], "<=", 0),
    ("history", "24 h at 1-minute steps out of 1 M points, median, ms", lambda f: f["day_p50"], "<=", 300),
    ("history", "the same with all 1 M points in them, median, ms", lambda f: f["dense_p50"], "<=", 300),
    ("history", "1 M rows as CSV: memory grew by, MB", lambda f: f["export_growth_mb"], "<=", 50),
    ("history", "1 M rows as CSV: rows missing", lambda f: f["expected_rows"] - f["export_rows"], "<=", 0),
    ("history", "upkeep: the writer held by one step, longest, ms", lambda f: f["hold_max"], "<=", 50),
    ("history", "upkeep: another transaction meanwhile, p99, ms", lambda f: f["probe_p99"], "<=", 50),
    ("history", "upkeep: wrong sums", lambda f: f["wrong"], "<=", 0),
]


async def measure(only: list[str], without_gateway: bool, size: scenarios.Size) -> Results:
    results: Results = {}
    for name, scenario, starts in PLAN:
        for start in starts:
            if (only and name not in only) or (without_gateway and start is servers.gateway):
                continue
            print(f"{name}: {start.__name__} ...", file=sys.stderr, flush=True)
            results[name, start.__name__] = await scenario(start, size)
    return results


def table(name: str, results: Results) -> Table:
    """The first server's figures, and each other's with its ratio to the first's."""
    columns = {server: figures for (scenario, server), figures in results.items() if scenario == name}
    grid = Table(title=TITLES[name], title_justify="left")
    grid.add_column("")
    for server in columns:
        grid.add_column(server, justify="right")
    first = next(iter(columns.values()))
    for title, key, form in ROWS.get(name, ROWS["watched"]):
        grid.add_row(title, *(cell(figures.get(key), first.get(key), form) for figures in columns.values()))
    return grid


def cell(value: float | None, first: float | None, form: str) -> str:
    if value is None:
        return "-"
    ratio = f"  (x {value / first:.2g})" if first and value != first else ""
    return f"{value:{form}}{ratio}"


def verdicts(results: Results) -> tuple[Table, bool]:
    grid = Table("figure", "measured", "limit", "", title="What the gateway must reach", title_justify="left")
    kept = True
    for scenario, words, value, comparison, limit in LIMITS:
        if figures := results.get((scenario, "gateway")):
            measured = value(figures)
            good = measured >= limit if comparison == ">=" else measured <= limit
            kept &= good
            grid.add_row(words, f"{measured:.2f}", f"{comparison} {limit:g}", "ok" if good else "MISSED")
    return grid, kept


def machine() -> str:
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":")[1].strip() for line in info.splitlines() if "model name" in line), "?")
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    now = datetime.datetime.now(datetime.UTC)
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return (
        f"{now:%Y-%m-%d %H:%M} UTC, commit {git.stdout.strip()}, Python {platform.python_version()}, "
        f"{model}, {os.cpu_count()} cores, {memory_gb:.0f} GB, load average before {os.getloadavg()[0]:.1f}"
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs: a look, not a result")
    parser.add_argument("--only", action="append", default=[], choices=list(TITLES), help="one scenario")
    parser.add_argument("--without-gateway", action="store_true", help="the peers alone")
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES if hard < 0 else min(OPEN_FILES, hard), hard))
    before = machine()
    size = scenarios.QUICK if chosen.quick else scenarios.FULL
    results = asyncio.run(measure(chosen.only, chosen.without_gateway, size))
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(before, highlight=False)
    for name in dict.fromkeys(scenario for scenario, _ in results):
        console.print(table(name, results))
    grid, kept = verdicts(results)
    console.print(grid)
    if chosen.json:
        figures = {f"{scenario} {server}": values for (scenario, server), values in results.items()}
        chosen.json.write_text(json.dumps({"machine": before} | figures, indent=1))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
