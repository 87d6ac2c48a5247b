"""Devices as the documented registration flow knows them: entered by a person, registered by serial and key.

They are modules of the registry; only the words differ.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.core.bootstrap import Bootstrap
from gateway.core.decisions import Decisions
from gateway.core.enrolment import WRONG_KEY, Enrolment
from gateway.core.errors import Forbidden, Invalid, Unauthenticated
from gateway.core.events import FirmwareReported, Hub
from gateway.core.registry import MAX_TEXT, Registry
from gateway.core.rights import Person, Service, ServiceRole, may_manage, name_of
from gateway.core.values import Application, Granted, Module

MAX_DESCRIPTION = 2000
By = Person | Service


class Devices:
    def __init__(
        self, registry: Registry, decisions: Decisions, enrolment: Enrolment, bootstrap: Bootstrap, hub: Hub
    ) -> None:
        self._registry = registry
        self._decisions = decisions
        self._enrolment = enrolment
        self._bootstrap = bootstrap
        self._hub = hub

    async def create(self, data: Mapping[str, Any], by: By) -> tuple[Module, str]:
        """Enter a device: it is approved at once. Returns its shared key too, which is shown here only.

        `serial_number` and `type_id` are required; `name`, `group_id` and `description` may be given.
        Raises Invalid, Conflict (the serial is taken).
        """
        must_provision(by)
        entry = {
            "serial": _text(data, "serial_number"),
            "type": data.get("type_id"),
            "name": _text(data, "name"),
            "group": _group(data),
            "information": _described({}, data),
        }
        ((module, key),) = await self._decisions.declare([entry], actor(by), with_token=False)
        return module, key

    async def register(self, data: Mapping[str, Any], address: str) -> tuple[Module, Granted]:
        """A device proves itself by its shared key and gets its own token.

        One that has a token already becomes a re-enrolment in the waiting room; one that nobody knows is let
        in where its type has a bootstrap key. Raises Unauthenticated.
        """
        serial, key = _text(data, "device_serial"), _text(data, "shared_key")
        firmware = {"serial": _text(data, "current_firmware_serial")}
        # The type is not said. That of a bootstrap key is looked for in any case, so that it takes as long.
        type = self._bootstrap.type_of(key)
        if known := self._registry.known(serial):
            application = Application(
                type=known.type, serial=serial, shared_key=key, hardware=known.hardware,
                information=known.information, firmware=firmware,
            )  # fmt: skip
        else:
            application = Application(type=type or 0, serial=serial, shared_key=key, firmware=firmware)
        try:
            granted = await self._enrolment.register(application, address)
        except Forbidden:
            raise Unauthenticated(WRONG_KEY) from None
        return self._registry.get(granted.id), granted

    def authenticate(self, data: Mapping[str, Any], by: By) -> Module:
        """Whose serial and shared key these are, for a service that asks. Raises Unauthenticated."""
        must_provision(by)
        known = self._registry.known(_text(data, "device_serial"))
        right = self._registry.knows_key(known, _text(data, "shared_key"))
        if known is None or not right:
            raise Unauthenticated(WRONG_KEY)
        return known

    async def change(self, key: str, data: Mapping[str, Any], by: By) -> Module:
        """Change what is known of a device; whether it runs what is said is for others to check."""
        must_provision(by)
        module = self._registry.find(key)
        changes: dict[str, Any] = {}
        if "name" in data:
            changes["name"] = _text(data, "name")
        if "group_id" in data:
            changes["group"] = _group(data)
        if "description" in data:
            changes["information"] = _described(module.information, data)
        if "registered_at" in data:
            changes["registered_at_ms"] = _at_ms(data["registered_at"])
        firmware = _text(data, "current_firmware_serial")
        if firmware and firmware != module.reported_firmware:
            changes["reported_firmware"] = firmware
        if changes:
            module = await self._registry.change(module, actor(by), "device.change", **changes)
        if firmware:
            said = {"serial": firmware}
            self._hub.publish(FirmwareReported(module.id, said, "change", name_of(actor(by))))
        return module


def must_provision(by: By) -> None:
    """Raises `Forbidden`; nothing else is said to who may not."""
    if not may_manage(by) and not (isinstance(by, Service) and by.role is ServiceRole.CONTROLLER):
        raise Forbidden("Only a technician, an admin or a controller account does this.")


def actor(by: By) -> Person | str:
    """Who did it, as the core's parts take it: a program by its name."""
    return by if isinstance(by, Person) else by.name


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise Invalid(
            "%(name)s must be a text of at most %(max_text)s characters.", name=name, max_text=MAX_TEXT
        )
    return value


def _group(data: Mapping[str, Any]) -> str:
    """Groups have names here; a number is one too."""
    value = data.get("group_id")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(data, "group_id")


def _described(information: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    description = data.get("description")
    if description is None:
        return {name: value for name, value in information.items() if name != "description"}
    if not isinstance(description, str) or len(description) > MAX_DESCRIPTION:
        raise Invalid(
            "description must be a text of at most %(max_description)s characters.",
            max_description=MAX_DESCRIPTION,
        )
    return {**information, "description": description}


def _at_ms(value: Any) -> int:
    """UTC milliseconds, or a time as ISO 8601."""
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value)
            value = int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
        if type(value) is int and 0 <= value < 2**53:
            return value
    except (ValueError, OverflowError):
        pass
    raise Invalid("registered_at must be UTC milliseconds or a time as in 2026-11-21T12:00:00Z.")
