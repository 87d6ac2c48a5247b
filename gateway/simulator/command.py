"""`passerelle simulate`: a fleet against any gateway, told about on the terminal."""

import asyncio
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvloop

from bridge.topics import Topics
from gateway.core.errors import Invalid
from gateway.core.types import ModuleType, builtin
from gateway.simulator.fleet import Fleet, members
from gateway.simulator.place import Place
from gateway.simulator.profiles import PROFILES, Profile
from gateway.simulator.tokens import Tokens

SPARE_FILES = 100
STATUS_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for; `type` is a code or a suffix, "" for all in turn."""

    devices: int
    profile: str
    host: str
    port: int
    topic_root: str
    type: str = ""
    seed: int = 1
    interval_s: float | None = None
    tokens: Path | None = None
    seconds: float | None = None


def simulate(wanted: Wanted, say: Callable[[str], None] | None) -> dict[str, Any]:
    """Until the time is over or Ctrl-C; the summary. `say` gets a line a second. Raises `Invalid`."""
    profile, types = _profile(wanted), _types(wanted.type)
    tokens = Tokens(wanted.tokens)
    try:
        tokens.load()
        tokens.save()
    except (OSError, ValueError) as error:
        raise Invalid("The tokens cannot be kept: %(error)s", error=error) from None
    _allow_connections(wanted.devices)
    place = Place(wanted.host, wanted.port, Topics(wanted.topic_root))
    fleet = Fleet(members(wanted.devices, types), profile, place, tokens, wanted.seed)
    return uvloop.run(_run(fleet, wanted.seconds, say))


async def _run(fleet: Fleet, seconds: float | None, say: Callable[[str], None] | None) -> dict[str, Any]:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with fleet:
        parts = [asyncio.create_task(part) for part in (stop.wait(), fleet.until_one_fails())]
        if say is not None:
            parts.append(asyncio.create_task(_tell(fleet, say)))
        ended, others = await asyncio.wait(parts, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        summary = fleet.summary()
        for other in others:
            other.cancel()
        for part in ended:
            await part
    return summary


async def _tell(fleet: Fleet, say: Callable[[str], None]) -> None:
    while True:
        say(fleet.line())
        await asyncio.sleep(STATUS_EVERY_S)


def _profile(wanted: Wanted) -> Profile:
    profile = PROFILES.get(wanted.profile)
    if profile is None:
        raise Invalid(
            "%(profile)r is no profile; there are: %(profiles)s.",
            profile=wanted.profile,
            profiles=", ".join(PROFILES),
        )
    if wanted.interval_s is None:
        return profile
    return replace(profile, interval_s=wanted.interval_s)


def _types(asked: str) -> list[ModuleType]:
    known = builtin()
    chosen = [type for type in known if asked.upper() in ("", type.suffix, str(type.code))]
    if not chosen:
        names = ", ".join(f"{type.code} ({type.suffix})" for type in known)
        raise Invalid("%(asked)r is no built-in module type; there are: %(names)s.", asked=asked, names=names)
    return chosen


def _allow_connections(count: int) -> None:
    """Each device takes a file descriptor; raise our own limit as far as we may."""
    needed = count * 2 + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    with suppress(ValueError, OSError):
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    if soft < count + SPARE_FILES:
        raise Invalid(
            "This process may open %(soft)s files, too few for %(count)s devices (see ulimit -n).",
            soft=soft,
            count=count,
        )


def on_one_line(text: str) -> None:
    """Say it over what was said before."""
    sys.stdout.write(f"\r\x1b[K{text}\r")
    sys.stdout.flush()


def in_words(summary: dict[str, Any]) -> str:
    what = f"{summary['devices']} devices ({summary['profile']}, seed {summary['seed']})"
    spent = f"{summary['seconds']} s, {summary['cpu_s']} s of processor"
    states = ", ".join(f"{count} {state}" for state, count in summary["states"].items())
    counts = ", ".join(f"{count} {what}" for what, count in summary["counts"].items())
    return f"{what}; {spent}. At the end: {states}. In all: {counts or 'nothing'}."
