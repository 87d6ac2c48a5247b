"""The channels that admins have set up; their secrets are encrypted, shown never and logged nowhere."""

import asyncio
import secrets as chance
from typing import Any

import msgspec

from gateway.core import audit, clock
from gateway.core.errors import Conflict, Forbidden, Invalid, NotFound, Said
from gateway.core.events import Hub
from gateway.core.notify.alert_values import Sentence, sentence
from gateway.core.notify.channel_values import MAX_SECRET, Channel, Plan
from gateway.core.rights import Person, may_administer
from gateway.core.sealing import Seal
from gateway.storage.models_alerts import ChannelRow, DeliveryRow
from gateway.storage.store import Store

MOST_CHANNELS = 50


class Channels:
    def __init__(self, store: Store, hub: Hub, signing_key: str) -> None:
        self._store = store
        self._hub = hub
        self._seal = Seal(signing_key, "channel secrets")
        self._channels: dict[int, Channel] = {}
        self._sealed: dict[int, str] = {}
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        for row in await self._store.run(lambda: list(ChannelRow.select())):
            self._channels[row.id] = _channel(row)
            self._sealed[row.id] = row.sealed

    def all(self) -> list[Channel]:
        return sorted(self._channels.values(), key=lambda channel: channel.id)

    def get(self, id: int) -> Channel:
        try:
            return self._channels[id]
        except KeyError:
            raise NotFound("There is no channel %(id)s.", id=id) from None

    def known(self, id: int) -> Channel | None:
        return self._channels.get(id)

    def secret(self, id: int) -> str | None:
        """For couriers only. None when the gateway's key is another one than when it was entered."""
        return self._seal.open(self._sealed.get(id, ""))

    async def add(self, plan: Plan, secret: str, by: Person) -> tuple[Channel, str]:
        """The new channel, and its secret: a webhook without one gets one, to be shown this once."""
        _check_admin(by)
        secret = secret or (chance.token_urlsafe(32) if plan.kind == "webhook" else "")
        _check_secret(secret)
        plan.check(bool(secret))
        sealed, now_ms = self._seal.close(secret), clock.now_ms()

        def work() -> int:
            row = ChannelRow.insert(**_columns(plan), sealed=sealed, created_at_ms=now_ms)
            audit.write("channel.add", plan.name, by.name, **_told(plan))
            return int(row.execute())

        async with self._changing:
            self._check_name(plan.name, None)
            if len(self._channels) >= MOST_CHANNELS:
                raise Conflict("There are %(most)s channels already.", most=MOST_CHANNELS)
            id = await self._store.run(work)
            channel = Channel(id=id, plan=plan, has_secret=bool(secret), created_at_ms=now_ms)
            self._channels[id], self._sealed[id] = channel, sealed
        self._hub.acted("channel.add", plan.name, by, **_told(plan))
        return channel, secret

    async def change(self, id: int, plan: Plan, secret: str | None, by: Person) -> Channel:
        """`secret` None keeps the one it has; empty takes it away."""
        _check_admin(by)
        async with self._changing:
            before = self.get(id)
            if plan.kind != before.plan.kind:
                raise Invalid("A channel stays of its kind; make a new one.")
            if secret is not None:
                _check_secret(secret)
            elif before.has_secret and _goes_elsewhere(before.plan, plan):
                raise Invalid("It goes to another machine: enter its secret again.")
            sealed = self._sealed[id] if secret is None else self._seal.close(secret)
            plan.check(bool(sealed))
            self._check_name(plan.name, id)
            told: dict[str, Any] = {"before": _told(before.plan), "after": _told(plan)}
            told["new_secret"] = secret is not None

            def work() -> None:
                ChannelRow.update(**_columns(plan), sealed=sealed).where(ChannelRow.id == id).execute()
                audit.write("channel.change", plan.name, by.name, **told)

            await self._store.run(work)
            # How it goes may have changed meanwhile.
            now = self._channels[id]
            self._channels[id] = msgspec.structs.replace(now, plan=plan, has_secret=bool(sealed))
            self._sealed[id] = sealed
        self._hub.acted("channel.change", plan.name, by, **told)
        return self._channels[id]

    async def remove(self, id: int, by: Person) -> None:
        """What waits for it goes too."""
        _check_admin(by)
        async with self._changing:
            channel = self.get(id)

            def work() -> None:
                ChannelRow.delete().where(ChannelRow.id == id).execute()
                DeliveryRow.delete().where(DeliveryRow.channel_id == id).execute()
                audit.write("channel.remove", channel.plan.name, by.name, kind=channel.plan.kind)

            await self._store.run(work)
            del self._channels[id], self._sealed[id]
        self._hub.acted("channel.remove", channel.plan.name, by, kind=channel.plan.kind)

    # How it goes

    def went_well(self, id: int) -> None:
        self._note(id, succeeded_at_ms=clock.now_ms(), fault=None)

    def went_wrong(self, id: int, why: Said) -> None:
        self._note(id, failed_at_ms=clock.now_ms(), fault=sentence(why))

    def lost(self, id: int, count: int) -> None:
        channel = self._channels.get(id)
        if channel is not None and count:
            self._note(id, dropped=channel.dropped + count)

    def _note(self, id: int, **changes: Any) -> None:
        channel = self._channels.get(id)
        if channel is None:
            return
        self._channels[id] = msgspec.structs.replace(channel, **changes)
        if "fault" in changes:
            fault = changes["fault"]
            changes["fault"] = msgspec.json.encode(fault).decode() if fault else ""
        self._store.submit(lambda: ChannelRow.update(**changes).where(ChannelRow.id == id).execute())

    def _check_name(self, name: str, own_id: int | None) -> None:
        folded = name.lower()
        for channel in self._channels.values():
            if channel.id != own_id and channel.plan.name.lower() == folded:
                raise Conflict("There is a channel %(name)r already.", name=name)


def _goes_elsewhere(before: Plan, after: Plan) -> bool:
    """Whether the secret would be told to another machine; that of a webhook is told to nobody."""
    return after.kind != "webhook" and after.target.place != before.target.place


def _check_admin(by: Person) -> None:
    if not may_administer(by):
        raise Forbidden("Only an admin decides where alerts are told.")


def _check_secret(secret: str) -> None:
    if len(secret) > MAX_SECRET or not secret.isprintable():
        raise Invalid("A secret is one line of at most %(most)s letters.", most=MAX_SECRET)


def _told(plan: Plan) -> dict[str, Any]:
    """For the audit trail: no secret, and no address that may hold one."""
    return {
        "kind": plan.kind, "place": plan.target.place, "kinds": list(plan.kinds), "active": plan.active,
        "closings": plan.closings, "quiet": [plan.quiet.begin, plan.quiet.end],
        "receivers": plan.target.addresses,
    }  # fmt: skip


def _columns(plan: Plan) -> dict[str, Any]:
    text = msgspec.json.encode(plan).decode()
    return {"name": plan.name, "kind": plan.kind, "active": plan.active, "plan": text}


def _channel(row: ChannelRow) -> Channel:
    return Channel(
        id=row.id,
        plan=msgspec.json.decode(row.plan, type=Plan),
        has_secret=bool(row.sealed),
        created_at_ms=row.created_at_ms,
        succeeded_at_ms=row.succeeded_at_ms,
        failed_at_ms=row.failed_at_ms,
        fault=msgspec.json.decode(row.fault, type=Sentence) if row.fault else None,
        dropped=row.dropped,
    )
