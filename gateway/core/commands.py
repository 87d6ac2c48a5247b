"""Commands down to modules: checked, queued, delivered in order and once, ended in exactly one way."""

import asyncio
import secrets
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

from gateway.core import audit, clock
from gateway.core.command_records import (
    insert_command,
    load_ended,
    load_one,
    load_page,
    load_waiting,
    update_command,
)
from gateway.core.command_rules import overdue, replaces
from gateway.core.errors import Conflict, Full, Invalid, NotFound
from gateway.core.events import CommandChanged, CommandSent, CredentialsChanged, Hub, ModuleRemoved
from gateway.core.registry import Registry
from gateway.core.rights import Person, name_of
from gateway.core.types import Types
from gateway.core.values import FINAL_STATUSES, Command, CommandStatus, Module
from gateway.storage.store import Store

QUEUE_MAX = 100
RECENT_MAX = 50
MOST_LOADED = 20_000
ACTION_EXPIRY_S = 60
MAX_EXPIRY_S = 30 * 86400
Handover = Literal["sent", "done"]
ANSWERS: frozenset[str] = frozenset({"accepted", "done", "failed", "rejected"})


class Carrier(Protocol):
    """A transport that may have a live session of the module."""

    def deliver(self, command: Command) -> Handover | None:
        """Send it if the module listens here now; None otherwise.

        `sent` when the module will answer, `done` when its dialect has no answers.
        """


class _Queue(msgspec.Struct):
    """Of one module: what has not ended, oldest first, and what ended lately."""

    waiting: deque[Command] = msgspec.field(default_factory=deque)
    recent: deque[Command] = msgspec.field(default_factory=lambda: deque(maxlen=RECENT_MAX))


class Commands:
    def __init__(self, store: Store, hub: Hub, registry: Registry, types: Types) -> None:
        self._store = store
        self._hub = hub
        self._registry = registry
        self._types = types
        self._queues: dict[str, _Queue] = {}
        self._carriers: list[Carrier] = []
        self._sending: dict[str, asyncio.Lock] = {}
        hub.subscribe(ModuleRemoved, self._module_removed)
        hub.subscribe(CredentialsChanged, self._credentials_changed)

    async def load(self) -> None:
        waiting, ended = await self._store.run(lambda: (load_waiting(), load_ended(MOST_LOADED)))
        for command in waiting:
            self._queue(command.module_id).waiting.append(command)
        for command in ended:
            self._queue(command.module_id).recent.append(command)
        for module_id in [id for id, queue in self._queues.items() if queue.waiting]:
            # The gateway may have ended between a revocation and the end of what waited.
            if (module := self._registry.known(module_id)) and self._registry.is_shut_out(module):
                self._credentials_changed(CredentialsChanged(module_id, "revoked"))

    def carry(self, carrier: Carrier) -> None:
        """Add a transport; the first that can deliver does."""
        self._carriers.append(carrier)

    # Down

    async def send(
        self,
        key: str,
        name: str,
        params: Mapping[str, Any],
        by: Person | str,
        *,
        expires_in_s: float | None = None,
    ) -> Command:
        """Check and queue a command; it is durable when this returns, and on its way if the module listens.

        An action expires after 60 s unless told, a setting never. Raises Invalid, Conflict, Full, NotFound.
        """
        roster = self._registry
        module = roster.changeable(key, by) if isinstance(by, Person) else roster.find(key)
        if module.life != "approved":
            raise Conflict("%(id)s is not approved, so it takes no commands.", id=module.id)
        spec_params = self._types.get(module.type).check_command(name, params)
        command = self._new(module, name, spec_params, name_of(by), expires_in_s)
        lock = self._sending.setdefault(module.id, asyncio.Lock())
        async with lock:
            outdated = self._outdated(command)
            if len(self._queue(module.id).waiting) - len(outdated) >= QUEUE_MAX:
                raise Full(
                    "%(queue_max)s commands wait for %(id)s already.", queue_max=QUEUE_MAX, id=module.id
                )
            await self._store.run(lambda: self._insert(module, command))
            if self._registry.numbered(module.number) is None:
                raise NotFound("There is no module %(id)r any more.", id=module.id)
            for older in self._outdated(command):
                self._end(older, "canceled", error="A newer one replaced it.")
            self._queue(module.id).waiting.append(command)
        self._hub.publish(CommandChanged(command))
        if isinstance(by, Person):
            self._hub.publish(CommandSent(command, by.id))
        self._hub.acted("command.send", module.id, by, command=command.name, id=command.id)
        self.wake(module.id)
        return self.get(command.id, module.id)

    def _new(
        self, module: Module, name: str, params: dict[str, Any], by: str, expires_in_s: float | None
    ) -> Command:
        keep = self._types.get(module.type).commands[name].keep
        if expires_in_s is None:
            expires_in_s = None if keep else ACTION_EXPIRY_S
        elif not 0 < expires_in_s <= MAX_EXPIRY_S:
            raise Invalid(
                "A command expires in more than 0 and at most %(max_expiry_s)s seconds.",
                max_expiry_s=MAX_EXPIRY_S,
            )
        now_ms = clock.now_ms()
        return Command(
            id=secrets.token_hex(8), module_id=module.id, name=name, params=params, status="queued",
            created_at_ms=now_ms, by=by, history=(("queued", now_ms),),
            expires_at_ms=None if expires_in_s is None else now_ms + int(expires_in_s * 1000),
        )  # fmt: skip

    def _insert(self, module: Module, command: Command) -> None:
        insert_command(module.number, command)
        audit.write("command.send", module.id, command.by, command=command.name, id=command.id)

    def _outdated(self, newer: Command) -> list[Command]:
        """What a new setting replaces: older ones that still wait and say nothing that it does not."""
        known = self._types.get(self._registry.get(newer.module_id).type)
        if not known.commands[newer.name].keep:
            return []
        waiting = self._queue(newer.module_id).waiting
        return [older for older in waiting if older.status == "queued" and replaces(newer, older)]

    def wake(self, module_id: str) -> None:
        """The module may be listening: send what is next, if nothing is on its way."""
        self._expire(module_id)
        queue = self._queues.get(module_id)
        while queue and queue.waiting and queue.waiting[0].status == "queued":
            if not self._hand_over(queue.waiting[0]):
                break

    def _hand_over(self, command: Command) -> bool:
        """Give it to the first transport that has the module; whether the next may follow at once."""
        how = next((how for carrier in self._carriers if (how := carrier.deliver(command))), None)
        if how is None:
            return False
        sent = self._change(command, "sent") if command.status == "queued" else command
        if how == "done":
            self._end(sent, "done")
        return how == "done"

    def resume(self, module_id: str) -> None:
        """The module has a new session: what was on its way may be lost, so it goes out again.

        The module knows the ids it has had, so nothing is done twice.
        """
        queue = self._queues.get(module_id)
        if queue and queue.waiting and queue.waiting[0].status in ("sent", "accepted"):
            self._expire(module_id)
            if queue.waiting:
                self._hand_over(queue.waiting[0])
        self.wake(module_id)

    # Back

    def answered(
        self, module_id: str, id: str, status: str, result: Any = None, error: str | None = None
    ) -> bool:
        """The module's word on a command; False when it has none such under way."""
        queue = self._queues.get(module_id)
        command = next((c for c in queue.waiting if c.id == id), None) if queue else None
        if command is None or status not in ANSWERS or command.status == "queued":
            return False
        if status in FINAL_STATUSES:
            self._end(command, msgspec.convert(status, CommandStatus), result=result, error=error)
            self.wake(module_id)
        elif command.status != "accepted":
            self._change(command, "accepted")
        return True

    async def cancel(self, module_id: str, id: str, by: Person | str) -> Command:
        """Take back a command that has not ended; one that was sent may still be carried out."""
        command = self.get(id, module_id)
        if command.ended:
            raise Conflict("The command is %(status)s already.", status=command.status)
        ended = self._end(command, "canceled", error=f"Cancelled by {name_of(by)}.")
        await self._store.run(lambda: audit.write("command.cancel", module_id, name_of(by), id=id))
        self._hub.acted("command.cancel", module_id, by, id=id)
        self.wake(module_id)
        return ended

    # Looking

    def of(self, module_id: str) -> list[Command]:
        """What has not ended and what ended lately, newest first."""
        queue = self._queues.get(module_id)
        both = [*queue.waiting, *queue.recent] if queue else []
        return sorted(both, key=lambda command: command.created_at_ms, reverse=True)

    def get(self, id: str, module_id: str) -> Command:
        for command in self.of(module_id):
            if command.id == id:
                return command
        raise NotFound("There is no command %(id)r of %(module_id)s.", id=id[:64], module_id=module_id)

    async def find(self, module_id: str, id: str) -> Command:
        """One command of a module, however old; raises `NotFound`."""
        module = self._registry.get(module_id)
        found = await self._store.read(lambda: load_one(module.number, module.id, id))
        return found or self.get(id, module_id)

    async def page(self, module_id: str, *, before: str = "", limit: int = 50) -> list[Command]:
        """Commands of a module from the database, newest first, those that ended long ago included.

        `before` is the id of the last one of the page before; nothing follows one that there is not.
        """
        module = self._registry.get(module_id)
        return await self._store.read(lambda: load_page(module.number, module.id, limit, before))

    # Time

    def tick(self) -> None:
        """Once a second: what is too late ends."""
        for module_id in [id for id, queue in self._queues.items() if queue.waiting]:
            self._expire(module_id)
            self.wake(module_id)

    def _expire(self, module_id: str) -> None:
        queue = self._queues.get(module_id)
        now_ms = clock.now_ms()
        for command in tuple(queue.waiting) if queue else ():
            if (ending := overdue(command, now_ms)) is not None:
                self._end(command, ending[0], error=ending[1])

    # Within

    def _queue(self, module_id: str) -> _Queue:
        return self._queues.setdefault(module_id, _Queue())

    def _end(
        self, command: Command, status: CommandStatus, *, result: Any = None, error: str | None = None
    ) -> Command:
        return self._change(command, status, result=result, error=error)

    def _change(self, command: Command, status: CommandStatus, **more: Any) -> Command:
        history = (*command.history, (status, clock.now_ms()))
        after = msgspec.structs.replace(command, status=status, history=history, **more)
        queue = self._queue(command.module_id)
        place = queue.waiting.index(command)
        if after.ended:
            del queue.waiting[place]
            queue.recent.append(after)
        else:
            queue.waiting[place] = after
        self._store.submit(lambda: update_command(after))
        self._hub.publish(CommandChanged(after))
        return after

    def _module_removed(self, event: ModuleRemoved) -> None:
        self._queues.pop(event.module.id, None)
        self._sending.pop(event.module.id, None)

    def _credentials_changed(self, event: CredentialsChanged) -> None:
        """Whoever lost his credential gets nothing that was queued for him; a successor does."""
        queue = self._queues.get(event.module_id) if event.status != "replaced" else None
        for command in tuple(queue.waiting) if queue else ():
            self._end(command, "canceled", error=f"The module was {event.status}.")
