"""The heart as a whole: its parts, opened in order and closed in reverse, and what they say of a module."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.core import audit
from gateway.core.access.access_keys import AccessKeys
from gateway.core.access.accounts import Accounts
from gateway.core.access.halfway import KnownBrowsers
from gateway.core.access.invitations import Invitations
from gateway.core.access.people import People
from gateway.core.access.personal_tokens import PersonalTokens
from gateway.core.access.preferences import Preferences
from gateway.core.access.second_factor import SecondFactors
from gateway.core.access.services import Services
from gateway.core.access.sessions import Sessions
from gateway.core.access.sign_ups import SignUps
from gateway.core.anchor import Anchorage
from gateway.core.audit import Audit
from gateway.core.bootstrap import Bootstrap
from gateway.core.choices import Choices
from gateway.core.clients import Clients
from gateway.core.commands import Commands
from gateway.core.decisions import Decisions
from gateway.core.declared_choices import CHOICES
from gateway.core.declaring import Declarations
from gateway.core.desired import Desired
from gateway.core.device_log import DeviceLog
from gateway.core.devices import Devices
from gateway.core.enrolment import Enrolment
from gateway.core.events import Hub
from gateway.core.instance import Instance
from gateway.core.joining import Joining
from gateway.core.mailbox import Mailbox
from gateway.core.maintenance import MaintenanceMode
from gateway.core.moments import Moments
from gateway.core.notify.alerting import Alerting, make_alerting
from gateway.core.own_types import OwnTypes
from gateway.core.ownership import Ownership
from gateway.core.presence import PresenceBook
from gateway.core.proof import Proofs
from gateway.core.pulse import Pulse
from gateway.core.readings.history import History
from gateway.core.readings.keeping import Keeping
from gateway.core.readings.telemetry import Telemetry
from gateway.core.registry import Registry
from gateway.core.standing import Standing
from gateway.core.timeline import Timeline
from gateway.core.types import Types, builtin
from gateway.core.values import Module
from gateway.settings import Settings
from gateway.storage.store import Store

TICK_S = 1.0
SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Core:
    settings: Settings
    store: Store
    hub: Hub
    choices: Choices
    types: Types
    own_types: OwnTypes
    registry: Registry
    joining: Joining
    bootstrap: Bootstrap
    enrolment: Enrolment
    decisions: Decisions
    devices: Devices
    ownership: Ownership
    presence: PresenceBook
    alerting: Alerting
    telemetry: Telemetry
    history: History
    keeping: Keeping
    commands: Commands
    desired: Desired
    standing: Standing
    accounts: Accounts
    preferences: Preferences
    maintenance: MaintenanceMode
    services: Services
    clients: Clients
    mailbox: Mailbox
    instance: Instance
    audit: Audit
    timeline: Timeline
    device_log: DeviceLog
    pulse: Pulse

    def status(self, module: Module) -> str:
        """`pending` or `rejected`, and once approved whether it is there."""
        return self.presence.state(module.id) if module.life == "approved" else module.life

    def describe(self, module: Module) -> dict[str, Any]:
        """A module as programs and pages see it; times are UTC milliseconds."""
        presence = self.presence.of(module.id)
        approved = module.life == "approved"
        desired = self.desired.of(module.id)
        return {
            "id": module.id,
            "number": module.number,
            "uuid": module.uuid,
            "name": module.name,
            "location": module.location,
            "group": module.group,
            "type": module.type,
            "status": presence.state if approved else module.life,
            "reason": presence.reason if approved else module.decision_reason,
            "since": presence.since_ms if approved else (module.decided_at_ms or module.created_at_ms),
            "last_seen": presence.last_seen_ms,
            "session": presence.session,
            "unstable": presence.unstable,
            "owner_id": module.owner_id,
            "hardware": module.hardware,
            "telemetry": self.telemetry.latest(module.id),
            "desired": desired.desired,
            "reported": desired.reported,
            "current_firmware": module.firmware or None,
            "assigned_firmware": module.assigned_firmware or None,
            "reported_firmware": module.reported_firmware or None,
            "registered_at": module.registered_at_ms,
            "created_at": module.created_at_ms,
            "expires_at": module.expires_at_ms,
        }

    def tick(self) -> None:
        """Once a second: what time alone decides."""
        self.presence.tick()
        self.alerting.tick()
        self.commands.tick()
        self.decisions.expire_due()
        self.instance.tick()
        self.pulse.tick()

    async def tick_for_ever(self) -> None:
        while True:
            self.tick()
            await asyncio.sleep(TICK_S)


@asynccontextmanager
async def open_core(settings: Settings) -> AsyncIterator[Core]:
    """Build, load and (at the end) save the heart."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store(settings.database))
        core = _build(settings, store)
        stack.callback(core.accounts.people.close)
        for part in (
            core.audit, core.choices, core.own_types, core.registry, core.decisions.proofs, core.joining,
            core.bootstrap, core.accounts, core.presence, core.telemetry,
            core.keeping, core.commands, core.desired, core.standing, core.services, core.ownership,
            core.maintenance, core.clients, core.mailbox, core.alerting, core.preferences,
        ):  # fmt: skip
            await part.load()
        store.submit(lambda: audit.write("gateway.start", "gateway", "gateway"))
        try:
            yield core
        finally:
            core.presence.save()
            await core.audit.close()


def _build(settings: Settings, store: Store) -> Core:
    hub, types = Hub(), Types(builtin())
    registry = Registry(store, hub)
    joining = Joining(store, hub, settings.join)
    bootstrap = Bootstrap(store, hub, types)
    choices = Choices(store, hub, CHOICES)
    decisions = Decisions(registry, hub, Declarations(registry, types, hub), Proofs(store, hub, choices))
    enrolment = _enrolment(settings, registry, joining, types, bootstrap, decisions, hub)
    telemetry, presence = Telemetry(store, hub, registry, types), PresenceBook(store, hub, registry, types)
    accounts = _accounts(settings, store, hub, choices)
    clients = Clients(store, hub, joining, accounts.people, rate_limits=settings.rate_limits)
    mailbox = Mailbox(store, hub)
    return Core(
        settings=settings, store=store, hub=hub, choices=choices, types=types,
        own_types=OwnTypes(store, hub, types, registry),
        registry=registry, joining=joining, bootstrap=bootstrap, enrolment=enrolment, decisions=decisions,
        devices=Devices(registry, decisions, enrolment, bootstrap, hub),
        ownership=Ownership(store, hub, registry, settings.signing_key(), rate_limits=settings.rate_limits),
        presence=presence,
        alerting=make_alerting(settings, store, hub, choices, registry, presence),
        telemetry=telemetry,
        history=History(store, telemetry),
        keeping=Keeping(store, hub, choices, types, telemetry, settings.database),
        commands=Commands(store, hub, registry, types),
        desired=Desired(store, hub, registry),
        standing=Standing(store, hub, registry, types),
        accounts=accounts, maintenance=accounts.maintenance,
        preferences=Preferences(store, hub),
        services=Services(store, hub),
        clients=clients, mailbox=mailbox,
        instance=Instance(clients, mailbox, registry, enrolment, presence, rate_limits=settings.rate_limits),
        audit=_audit(settings, store),
        timeline=_timeline(store, hub, registry),
        device_log=DeviceLog(store, hub, registry),
        pulse=_pulse(registry, presence, telemetry),
    )  # fmt: skip


def _pulse(registry: Registry, presence: PresenceBook, telemetry: Telemetry) -> Pulse:
    def online() -> int:
        return sum(m.life == "approved" and presence.of(m.id).state == "online" for m in registry.all())

    return Pulse(lambda: telemetry.received, online)


def _timeline(store: Store, hub: Hub, registry: Registry) -> Timeline:
    timeline = Timeline(store, hub, registry)
    Moments(hub, registry, timeline)
    return timeline


def _audit(settings: Settings, store: Store) -> Audit:
    database = None
    if settings.database.startswith(SQLITE):
        database = Path(settings.database.removeprefix(SQLITE))
    return Audit(store, Anchorage(settings.data / "audit.anchor", settings.signing_key(), database))


def _accounts(settings: Settings, store: Store, hub: Hub, choices: Choices) -> Accounts:
    key, limited = settings.signing_key(), settings.rate_limits
    people, maintenance = People(store, hub), MaintenanceMode(store, hub)
    return Accounts(
        people,
        Sessions(store, hub, people, maintenance, AccessKeys(store, hub, key)),
        maintenance,
        SecondFactors(store, hub, key),
        PersonalTokens(store, hub, people),
        Invitations(store, hub, people),
        SignUps(store, hub, people, choices, rate_limits=limited),
        KnownBrowsers(key),
        rate_limits=limited,
    )


def _enrolment(
    settings: Settings,
    registry: Registry,
    joining: Joining,
    types: Types,
    bootstrap: Bootstrap,
    decisions: Decisions,
    hub: Hub,
) -> Enrolment:
    return Enrolment(
        registry, joining, types, bootstrap, decisions.proofs, hub, pending_ttl_s=settings.pending_ttl,
        pending_max=settings.pending_max, rate_limits=settings.rate_limits,
    )  # fmt: skip
