"""The front door of the embedded broker: sockets, who may come in, and who has been silent too long."""

import asyncio
import logging
import secrets
import socket
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from bridge.mqtt.adapters import DoorReader, DoorWriter
from bridge.mqtt.broker import LISTENER, FrontedBroker
from bridge.mqtt.connection import Connection, Stage
from bridge.mqtt.counts import Counts
from bridge.mqtt.dialog import Dialog
from bridge.mqtt.exchange import Exchange
from bridge.mqtt.identity import holder, session_key
from bridge.mqtt.index import matches
from bridge.mqtt.limits import Census, Failures, Limits
from bridge.mqtt.link import Receiver, Refusal
from bridge.mqtt.packets import Connect, plain_connect
from bridge.mqtt.session import Session
from bridge.mqtt.tls import accept_tls
from bridge.mqtt.wills import Wills
from bridge.topics import Topics
from gateway.core.rights import Enrolling, ModuleIdentity, Principal

log = logging.getLogger(__name__)
SWEEP_S = 0.5
BACKLOG = 512
# How long a closed connection may take to send what was written before it is cut.
FAREWELL_S = 5.0


class Door:
    """Built by EmbeddedLink; `open` starts the sweep, `listen` a socket."""

    def __init__(
        self,
        exchange: Exchange,
        receiver: Receiver,
        broker: FrontedBroker,
        wills: Wills,
        limits: Limits,
        topics: Topics,
    ) -> None:
        self.limits = limits
        self.census = Census(limits)
        self.exchange = exchange
        self.connections: set[Connection] = set()
        self._receiver = receiver
        self._broker = broker
        self._wills = wills
        self._topics = topics
        self._failures = Failures(limits)
        self._leaving: dict[Connection, float] = {}
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closing = False

    @property
    def counts(self) -> Counts:
        return self.exchange.counts

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._sweep()

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen on a TCP port, 0 for any; returns the port."""
        if tls is not None:
            listening = socket.create_server((host, port), backlog=BACKLOG)
            listening.setblocking(False)
            self._spawn(accept_tls(self, listening, tls, self._spawn))
            return int(listening.getsockname()[1])
        server = await self._loop.create_server(self.connection, host, port, backlog=BACKLOG)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def connection(self) -> Connection:
        return Connection(self)

    async def close(self) -> None:
        """Stop: sessions stay in the database, wills are kept for the next start (see wills.py)."""
        self._closing = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.end("stopped")
        for connection in list(self._leaving):
            connection.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    def entered(self, connection: Connection) -> None:
        self.connections.add(connection)
        self.counts.connections_taken += 1

    def admit(self, connection: Connection, asked: Connect) -> None:
        answer = self._decide(connection, asked)
        if isinstance(answer, Refusal):
            self.counts.logins_refused += 1
            connection.refuse(answer)
            return
        client_id = asked.client_id or f"auto-{secrets.token_hex(8)}"
        if asked.will and not self._may_leave(answer, asked.will.topic):
            self.counts.logins_refused += 1
            connection.refuse(Refusal.NOT_AUTHORIZED)
        elif not asked.clean and self.exchange.crowded(answer, client_id):
            connection.refuse(Refusal.UNAVAILABLE)
        else:
            self._let_in(connection, asked, answer, client_id)

    def _may_leave(self, principal: Principal, topic: str) -> bool:
        """Whether this may be the topic of a will. A pending module may name the one it will need once it is
        approved, for it stays connected until then; when a will is sent, the rights of that moment count."""
        if isinstance(principal, ModuleIdentity):
            principal = replace(principal, approved=True)
        return not topic.startswith("$") and self.exchange.gatekeeper.allows(principal, "publish", topic)

    def _decide(self, connection: Connection, asked: Connect) -> Principal | Refusal:
        if len(asked.client_id) > self.limits.client_id_length or not (asked.client_id or asked.clean):
            return Refusal.IDENTIFIER
        if self._closing:
            return Refusal.UNAVAILABLE
        if self._failures.too_many(connection.address, asked.username):
            self.counts.logins_limited += 1
            return Refusal.UNAVAILABLE
        try:
            answer = self.exchange.gatekeeper.admit(
                asked.client_id, asked.username, asked.password, connection.address
            )
        except Exception:
            self.counts.errors += 1
            log.exception("A log-in could not be decided")
            return Refusal.UNAVAILABLE
        if isinstance(answer, Refusal):
            self._failures.add(connection.address, asked.username)
        return answer

    def _let_in(self, connection: Connection, asked: Connect, principal: Principal, client_id: str) -> None:
        old = self.exchange.sessions.get(session_key(principal, client_id))
        if old is not None and isinstance(old.wire, Connection):
            self.counts.takeovers += 1
            old.wire.end("takeover")
        if not isinstance(principal, Enrolling):
            connection.stranger = False
            self.census.known(connection.address)
        session, present = self.exchange.enter(client_id, principal, asked.clean)
        session.wire = connection
        self._wills.keep(session, asked.will, asked.keepalive_s)
        reader = DoorReader(
            session,
            present,
            lambda: self._attached(connection, session),
            lambda filters: self._subscribed(session, filters),
            connection.handled,
        )
        connection.accept(session, reader, asked)
        reader.feed(plain_connect(session.key, asked.clean))
        self._serve(connection, reader)

    def _serve(self, connection: Connection, reader: DoorReader) -> None:
        writer = DoorWriter(connection.send, connection.address)
        task = self._spawn(self._broker.external_connected(reader, writer, LISTENER))
        task.add_done_callback(lambda done: self._served(connection, done))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _served(self, connection: Connection, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self.counts.errors += 1
            log.error("A session of %s failed", connection.address, exc_info=task.exception())
        connection.end("will")

    def _attached(self, connection: Connection, session: Session) -> None:
        """The client has its CONNACK."""
        if connection.stage is not Stage.ADMITTED or connection.reader is None:
            return
        connection.announced = True
        self._tell(self._receiver.connected, session.client_id, session.principal, connection.address)
        if connection.stage is not Stage.ADMITTED:
            return
        session.outbox.attach(connection)
        connection.opened(Dialog(self.exchange, self._receiver, connection.reader, connection))
        if session.subscriptions:
            self._subscribed(session, list(session.subscriptions))

    def _subscribed(self, session: Session, filters: list[str]) -> None:
        principal = session.principal
        if session.wire is None:
            return
        own = self._topics.told(principal)
        if any(matches(topic_filter, topic) for topic_filter in filters for topic in own):
            self._tell(self._receiver.listening, session.client_id, principal)

    def _tell(self, listener: Callable[..., None], *words: object) -> None:
        try:
            listener(*words)
        except Exception:
            self.counts.errors += 1
            log.exception("A session's change could not be told")

    def ended(self, connection: Connection, reason: str) -> None:
        self.connections.discard(connection)
        self.census.leave(connection.address, connection.stranger)
        self._leaving[connection] = self._loop.time() + FAREWELL_S
        session = connection.session
        if session is None or session.wire is not connection:
            return
        self.exchange.leave(session)
        if reason == "stopped":
            return
        if reason == "goodbye":
            self._wills.discard(session, connection.will)
        elif connection.will is not None:
            self._wills.fire(session.key, session.principal, connection.will)
        if connection.announced:
            self._tell(self._receiver.disconnected, session.client_id, session.principal, reason)

    def gone(self, connection: Connection) -> None:
        """Its socket is closed."""
        self._leaving.pop(connection, None)

    def refresh(self, name: str) -> None:
        """Who are they now? Of nobody, or of somebody else, sessions end and lose what they hold."""
        for session in self.exchange.of_name(name):
            wire, now = session.wire, self.exchange.gatekeeper.identify(session.principal)
            if now is not None and holder(now) == holder(session.principal):
                self.exchange.reconsider(session, now)
                if isinstance(wire, Connection) and wire.dialog is not None:
                    wire.dialog.reconsider()
                continue
            self.counts.revoked += 1
            if isinstance(wire, Connection):
                wire.end("revoked")
            self.exchange.drop(session)

    def _sweep(self) -> None:
        """One timer for all: the silent, those that do not leave, and the wills of the last run."""
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)
        now_s = self._loop.time()
        for connection in list(self.connections):
            overdue_s = connection.overdue_s
            if overdue_s and now_s - connection.silent_since_s > overdue_s:
                self.counts.silent += 1
                connection.end("will")
        for connection, due_s in list(self._leaving.items()):
            if due_s < now_s:
                connection.abort()
        self._wills.sweep()
