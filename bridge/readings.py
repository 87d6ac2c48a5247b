"""What a module says, the same over every transport: readings, events, the firmware it runs."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core.core import Core
from gateway.core.errors import Invalid
from gateway.core.events import FirmwareReported, ModuleEventRaised
from gateway.core.notify.takeovers import HardwareSaid
from gateway.core.values import Module

MAX_BATCH = 1000
# What one message may hold, as over MQTT.
MAX_BYTES = 128 * 1024
MAX_FIRMWARE_TEXT = 200
MAX_HARDWARE_TEXT = 64


def fits(data: Any) -> bool:
    """Whether decoded JSON is within what one message of a module may hold."""
    try:
        return len(msgspec.json.encode(data)) <= MAX_BYTES
    except (ValueError, TypeError, RecursionError):
        return False


def report(core: Core, module: Module, said: Any) -> bool:
    """One reading `{key: value}`, one with its time `{"ts": ms, "values": {..}}`, or a list of those.

    What does not fit is set aside and counted. False when it cannot be stored now: do not acknowledge it.
    Raises `Invalid` for a batch that is too long.
    """
    if isinstance(said, list):
        if len(said) > MAX_BATCH:
            raise Invalid("A batch holds at most %(max_batch)s readings.", max_batch=MAX_BATCH)
        return all([_report_one(core, module, one) for one in said])
    return _report_one(core, module, said)


def _report_one(core: Core, module: Module, reading: Any) -> bool:
    if not isinstance(reading, dict):
        return unfit(core, module)
    if "values" in reading and reading.keys() <= {"ts", "values"} and isinstance(reading["values"], dict):
        ts_ms = reading.get("ts")
        if ts_ms is not None and type(ts_ms) is not int:
            return unfit(core, module)
        return core.telemetry.report(module, reading["values"], ts_ms)
    return core.telemetry.report(module, reading)


def unfit(core: Core, module: Module) -> bool:
    """Counted with the readings that did not fit the type, where people see it."""
    core.telemetry.set_aside[module.id] += 1
    return True


def raise_event(core: Core, module: Module, name: str, data: Mapping[str, Any]) -> None:
    """An event that the type declares; some are readings too. Raises `Invalid` for any other."""
    known = core.types.get(module.type)
    checked = known.check_event(name, data)
    core.hub.publish(ModuleEventRaised(module.id, name, checked))
    spec = known.events.get(name)
    if spec is not None and spec.reports:
        core.telemetry.report(module, {key: value for key, value in checked.items() if key in known.keys})


def hardware(core: Core, module_id: str, said: Any) -> None:
    """What its hello says its hardware is: it tells two devices with one identity from each other."""
    if isinstance(said, str) and said:
        core.hub.publish(HardwareSaid(module_id, said[:MAX_HARDWARE_TEXT]))


def hello(core: Core, module: Module, firmware: Any) -> None:
    """What its hello says it runs: some of `serial`, `version`, `digest`, or the serial alone."""
    said = {"serial": firmware} if isinstance(firmware, str) else firmware
    if not isinstance(said, dict):
        return
    texts = {
        name: said[name][:MAX_FIRMWARE_TEXT]
        for name in ("serial", "version", "digest")
        if isinstance(said.get(name), str) and said[name]
    }
    if texts:
        core.hub.publish(FirmwareReported(module.id, texts, "hello", module.id))
