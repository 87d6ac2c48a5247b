"""The live sessions of modules on one transport: one per module, the newest; ended when rights end."""

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol

from gateway.core.commands import Handover
from gateway.core.core import Core
from gateway.core.events import ClaimDecided, CredentialsChanged, ModuleChanged, ModuleRemoved
from gateway.core.notify.takeovers import SessionTakenOver
from gateway.core.rights import ModuleIdentity
from gateway.core.values import Command, Module

Why = Literal["takeover", "revoked"]
# Well within the shortest silence after which a module counts as offline.
LISTEN_EVERY_S = 15.0


class Session(Protocol):
    """A module's session as its dialect has it.

    `name` tells it from every other session; `proof` (empty: not known) with which token it came; `address`
    from where.
    """

    name: str
    module_id: str
    proof: str
    address: str

    def deliver(self, command: Command) -> Handover | None:
        """Put a command on its way: `sent` when the module will answer, `done` when it has no answers.

        None: it cannot take one now.
        """

    def end(self, why: Why) -> None:
        """Say so in the dialect's words, and close."""


class Waiting(Protocol):
    """A session that has proved who it is and waits for a decision."""

    name: str

    def approved(self, identity: ModuleIdentity) -> None:
        """It may come in now, as this."""

    def refused(self) -> None:
        """It was rejected, or its time is over."""


class LiveModules:
    """A transport's sessions, as the carrier of commands to them."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._sessions: dict[str, Session] = {}
        self._waiting: dict[str, dict[str, tuple[ModuleIdentity, Waiting]]] = {}
        core.commands.carry(self)
        core.hub.subscribe(ModuleChanged, self._module_changed)
        core.hub.subscribe(ModuleRemoved, self._module_removed)
        core.hub.subscribe(CredentialsChanged, self._credentials_changed)
        core.hub.subscribe(ClaimDecided, self._claim_decided)

    def __len__(self) -> int:
        return len(self._sessions)

    def all(self) -> list[Session]:
        return list(self._sessions.values())

    def of(self, module_id: str) -> Session | None:
        return self._sessions.get(module_id)

    def deliver(self, command: Command) -> Handover | None:
        session = self._sessions.get(command.module_id)
        return session.deliver(command) if session is not None else None

    # Coming and going

    def adopt(self, module: Module, session: Session) -> None:
        """The module's session from now on; an older one ends. Call `greeted` once it was welcomed."""
        older = self._sessions.get(module.id)
        self._sessions[module.id] = session
        self._core.presence.session_opened(module, session.name)
        self._core.presence.heard(module)
        if older is not None and older is not session:
            # The new one is there already, so the module stays online.
            self._core.presence.session_closed(module.id, older.name, "takeover")
            older.end("takeover")
            self._core.hub.publish(SessionTakenOver(module.id, older.address, session.address))

    def greeted(self, module: Module) -> None:
        """It knows that it is in: what waits for it may come."""
        self._core.commands.resume(module.id)

    def lost(self, session: Session, reason: str) -> None:
        """The connection is gone; nothing happens if the session was replaced or ended before."""
        if self._sessions.get(session.module_id) is session:
            del self._sessions[session.module_id]
            self._core.presence.session_closed(session.module_id, session.name, reason)

    def wait(self, identity: ModuleIdentity, session: Waiting) -> None:
        """It will hear of the decision on this module (or on its re-enrolment)."""
        self._waiting.setdefault(identity.id, {})[session.name] = (identity, session)

    def waits_no_more(self, module_id: str, name: str) -> None:
        sessions = self._waiting.get(module_id)
        if sessions is not None:
            sessions.pop(name, None)
            if not sessions:
                del self._waiting[module_id]

    async def hear_pings(self, answers: Callable[[Session], bool]) -> None:
        """For ever: a session that answers the transport's own pings is a sign of life."""
        while True:
            await asyncio.sleep(LISTEN_EVERY_S)
            for session in self.all():
                module = self._core.registry.known(session.module_id)
                if module is not None and answers(session):
                    self._core.presence.heard(module)

    # What was decided

    def _module_changed(self, event: ModuleChanged) -> None:
        if event.after.life == "approved" and event.before.life == "pending":
            self._decided(event.after.id, 0, approved=True)

    def _module_removed(self, event: ModuleRemoved) -> None:
        self._end(event.module.id, "revoked")
        for _, session in self._waiting.pop(event.module.id, {}).values():
            session.refused()

    def _credentials_changed(self, event: CredentialsChanged) -> None:
        session = self._sessions.get(event.module_id)
        identity = ModuleIdentity(event.module_id, True, proof=session.proof if session else "")
        now = self._core.registry.identity_now(identity)
        if session is not None and (now is None or not now.approved):
            self._end(event.module_id, "revoked")
        for waiting, _ in list(self._waiting.get(event.module_id, {}).values()):
            if self._core.registry.identity_now(waiting) is None:
                self._decided(event.module_id, waiting.claim, approved=False)

    def _claim_decided(self, event: ClaimDecided) -> None:
        self._decided(event.module_id, event.claim, approved=event.status == "online")

    def _decided(self, module_id: str, claim: int, *, approved: bool) -> None:
        for identity, session in list(self._waiting.get(module_id, {}).values()):
            if identity.claim == claim:
                self.waits_no_more(module_id, session.name)
                # Two may wait for one module: only the one whose token it has now comes in.
                if approved and identity.proof == self._identity_of(module_id).proof:
                    session.approved(self._identity_of(module_id))
                else:
                    session.refused()

    def _identity_of(self, module_id: str) -> ModuleIdentity:
        """The module with the token of now."""
        module = self._core.registry.get(module_id)
        return ModuleIdentity(module.id, True, proof=self._core.registry.digests(module).token)

    def _end(self, module_id: str, why: Why) -> None:
        session = self._sessions.pop(module_id, None)
        if session is not None:
            self._core.presence.session_closed(module_id, session.name, "revoked")
            session.end(why)
