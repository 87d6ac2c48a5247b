"""Which way a module can fetch an image: what its first probe showed, kept."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core import clock
from gateway.core.events import Hub, ModuleRemoved
from gateway.core.values import Module
from gateway.storage.models_firmware import ProbeRow
from gateway.storage.store import Store

# What it fetches over both ways.
PROBE = bytes(index * 7 % 256 for index in range(1024))
WAYS = ("http", "mqtt")


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """`http`, `mqtt`: whether the probe arrived whole that way; None when the module did not say."""

    http: bool | None = None
    mqtt: bool | None = None
    at_ms: int = 0


class Probing:
    """The newest result of each module; what devices say is written behind."""

    def __init__(self, store: Store, hub: Hub) -> None:
        self._store = store
        self._probes: dict[int, Probe] = {}
        hub.subscribe(ModuleRemoved, self._module_removed)

    async def load(self) -> None:
        self._probes = dict(await self._store.run(_load))

    def of(self, module_number: int) -> Probe | None:
        return self._probes.get(module_number)

    def note(self, module: Module, result: Mapping[str, Any]) -> None:
        """What the module says of the ways; anything else in it is left out, and nothing is no result."""
        told = {way: result[way] for way in WAYS if isinstance(result.get(way), bool)}
        if not told:
            return
        probe = Probe(**told, at_ms=clock.now_ms())
        before = self._probes.get(module.number)
        self._probes[module.number] = probe
        if before is None or (before.http, before.mqtt) != (probe.http, probe.mqtt):
            self._store.submit(lambda: _keep(module.number, probe))

    def _module_removed(self, event: ModuleRemoved) -> None:
        """Its row goes with the module's own."""
        self._probes.pop(event.module.number, None)


def _load() -> list[tuple[int, Probe]]:
    return [
        (row.module_number, msgspec.structs.replace(_decoded(str(row.result)), at_ms=row.at_ms))
        for row in ProbeRow.select()
    ]


def _decoded(text: str) -> Probe:
    return msgspec.json.decode(text, type=Probe)


def _keep(module_number: int, probe: Probe) -> None:
    row = {"module_number": module_number, "result": _text(probe), "at_ms": probe.at_ms}
    ProbeRow.insert(row).on_conflict_replace().execute()


def _text(probe: Probe) -> str:
    return msgspec.json.encode({"http": probe.http, "mqtt": probe.mqtt}).decode()
