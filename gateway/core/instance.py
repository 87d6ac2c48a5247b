"""What programs and modules ask of the instance: one set of acts for Socket.IO, MQTT and HTTP."""

from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, Protocol

from gateway.core.clients import Clients
from gateway.core.enrolment import Enrolment
from gateway.core.envelope import Caller, Envelope, Reply, refusal
from gateway.core.errors import Conflict, Forbidden, GatewayError, Invalid, NotFound, Unauthenticated
from gateway.core.limits import Throttle
from gateway.core.mailbox import Kind, Mailbox, Party, encoded
from gateway.core.presence import PresenceBook
from gateway.core.registry import Registry
from gateway.core.rights import Client, may_see
from gateway.core.sides import Nodes, Programs, Side, described, is_number

# Wrong tokens: of one connection, and of one address.
TRIES, TRY_EVERY_S = 5, 10.0
TRIES_OF_ADDRESS, TRY_EVERY_S_OF_ADDRESS = 30, 2.0
# Acts of one party.
BURST, EVERY_S = 200, 0.02
# How often a recipient is told of its queue.
TELL_EVERY_S = 1.0

# By owner, as programs see them.
OnlineNodes = Mapping[int | None, list[dict[str, Any]]]
Act = Callable[[Side, Party, Envelope], Awaitable[Reply]]


class Carrier(Protocol):
    """A transport that may have a live session of the party."""

    def listens(self, to: Party) -> bool:
        """Whether the party can be told something here now."""

    def deliver(self, to: Party, reply: Reply) -> bool:
        """Send it if the party listens here now; False otherwise."""


class Instance:
    """Every answer is a `Reply`; nothing in a message says who sent it but its token or its session."""

    def __init__(
        self, clients: Clients, mailbox: Mailbox, registry: Registry, enrolment: Enrolment,
        presence: PresenceBook, *, rate_limits: bool,
    ) -> None:  # fmt: skip
        self._mailbox = mailbox
        self._registry = registry
        self._presence = presence
        self._programs = Programs(clients)
        self._nodes = Nodes(registry, enrolment)
        self._sides: dict[Kind, Side] = {"client": self._programs, "module": self._nodes}
        self._carriers: list[Carrier] = []
        self._tries = Throttle(TRIES, TRY_EVERY_S, enabled=rate_limits)
        self._tries_of_address = Throttle(TRIES_OF_ADDRESS, TRY_EVERY_S_OF_ADDRESS, enabled=rate_limits)
        self._pace = Throttle(BURST, EVERY_S, enabled=rate_limits)
        self._told_s: dict[Party, float] = {}
        self._untold: set[Party] = set()
        self._acts: Mapping[str, Act] = {
            "login": self._login,
            "update": self._update,
            "updateNodeList": self._update_node_list,
            "forward": self._forward,
            "queue": self._queue,
            "processQueue": self._process_queue,
        }

    def carry(self, carrier: Carrier) -> None:
        """Add a transport; the first that can deliver does."""
        self._carriers.append(carrier)

    async def answer(self, kind: Kind, data: object, caller: Caller) -> Reply:
        """Do what a message of a program (`client`) or a node (`module`) asks; refusals are replies too.

        A login suspends nowhere between its answer and its return, so a session that starts on it misses
        nothing.
        """
        try:
            envelope, side = Envelope.of(data), self._sides[kind]
            if envelope.action == "register":
                told = await side.register(envelope.parameters, caller.address)
                return Reply(action="registered", parameters=told)
            if (act := self._acts.get(envelope.action)) is None:
                raise Invalid("There is no such action.")
            party = self._who(kind, envelope, caller)
            self._pace.spend(party, "Too many messages at once.")
            return await act(side, party, envelope)
        except GatewayError as error:
            return refusal(data, error)

    def waiting(self, party: Party) -> list[dict[str, Any]]:
        """Its pending responses as rows, oldest first."""
        return [
            {
                "queue_id": letter.id,
                "sender": self._sides[letter.sender.kind].name(letter.sender),
                "parameters": letter.value,
                "created_at": letter.created_at_ms,
            }
            for letter in self._mailbox.of(party)
        ]

    def logged(self, party: Party) -> Reply:
        """What a party hears on its login: what it said of itself, and what waits for it."""
        told = self._sides[party.kind].describe(party)
        return Reply(action="logged", parameters=told | {"queue": self.waiting(party)}, party=party)

    def queue_of(self, party: Party) -> Reply:
        return Reply(action="updateQueue", parameters={"queue": self.waiting(party)})

    def online_nodes(self) -> OnlineNodes:
        """The modules that are online, by owner."""
        rows: dict[int | None, list[dict[str, Any]]] = {}
        for module in self._registry.all():
            if module.life == "approved" and self._presence.of(module.id).state == "online":
                rows.setdefault(module.owner_id, []).append({"node_id": module.id} | described(module))
        return rows

    def tick(self) -> None:
        """Once a second: whoever was not told of its queue, because it had just been told, is now."""
        now_s = monotonic()
        self._told_s = {party: at_s for party, at_s in self._told_s.items() if now_s - at_s < TELL_EVERY_S}
        untold, self._untold = self._untold, set()
        for party in untold:
            self._tell_queue(party)

    # Who

    def _who(self, kind: Kind, envelope: Envelope, caller: Caller) -> Party:
        """By the session; by the token where there is none, or it is a login. Never by anything else."""
        if caller.party is None or envelope.action == "login":
            party = self._prove(kind, envelope.token, caller)
        elif envelope.token is None or self._prove(kind, envelope.token, caller) == caller.party:
            party = caller.party
        else:
            raise Forbidden("This token is not the one that this session logged in with.")
        self._sides[kind].describe(party)
        if kind == "module":
            self._presence.heard(self._nodes.module(party))
        return party

    def _prove(self, kind: Kind, token: object, caller: Caller) -> Party:
        """Raises `TooMany` without a look at the token after too many wrong ones."""
        if token is None:
            raise Unauthenticated("A token is missing: log in first.")
        tries = [(self._tries_of_address, caller.address)]
        tries += [(self._tries, caller.socket)] if caller.socket else []
        for throttle, key in tries:
            throttle.check(key, "Too many wrong tokens from here.")
        try:
            return self._sides[kind].prove(token)
        except Unauthenticated:
            for throttle, key in tries:
                throttle.spend(key)
            raise

    # Acts

    async def _login(self, side: Side, party: Party, envelope: Envelope) -> Reply:
        side.entered(party)
        return self.logged(party)

    async def _update(self, side: Side, party: Party, envelope: Envelope) -> Reply:
        await side.update(party, envelope.parameters)
        return Reply(action="updated", parameters={})

    async def _update_node_list(self, side: Side, party: Party, envelope: Envelope) -> Reply:
        if party.kind != "client":
            raise Invalid("Only a client asks for the online nodes.")
        return node_list(self._programs.identity(party), self.online_nodes())

    async def _forward(self, side: Side, party: Party, envelope: Envelope) -> Reply:
        """Handed to a live session of the recipient, or refused: nothing of it is kept."""
        to, content = self._recipient(party, envelope.recipient), envelope.message()
        encoded(content)
        message = {"sender": side.name(party), "parameters": content}
        if not self._deliver(to, Reply(action="forward", parameters=message)):
            raise Conflict(
                "The %(word)s %(to)s is not online.", word=self._sides[to.kind].word, to=self._name(to)
            )
        return Reply(action="forwarded", parameters={"recipient": self._name(to)})

    async def _queue(self, side: Side, party: Party, envelope: Envelope) -> Reply:
        to = self._recipient(party, envelope.recipient)
        letter = await self._mailbox.put(to, party, envelope.message())
        self._tell_queue(to)
        return Reply(action="queued", parameters={"queue_id": letter.id, "recipient": self._name(to)})

    async def _process_queue(self, side: Side, party: Party, envelope: Envelope) -> Reply:
        said = envelope.parameters.get("queue_id")
        if isinstance(said, bool) or not isinstance(said, int | str) or not is_number(str(said)):
            raise Invalid("The queue_id is missing, or no number.")
        await self._mailbox.process(party, int(said))
        return self.queue_of(party)

    # Within

    def _recipient(self, sender: Party, key: object) -> Party:
        """Of the other side, and only one that may be seen; all others do not exist."""
        other: Kind = "module" if sender.kind == "client" else "client"
        if isinstance(key, bool) or not isinstance(key, int | str) or key == "":
            raise Invalid("The recipient is missing, or neither a number nor a text.")
        to = self._sides[other].find(str(key)[:64])
        client, module = (sender, to) if other == "module" else (to, sender)
        if to is None or client is None or module is None or not self._meet(client, module):
            raise NotFound("There is no %(word)s %(key)r.", word=self._sides[other].word, key=str(key)[:64])
        return to

    def _meet(self, client: Party, module: Party) -> bool:
        owner_id = self._nodes.module(module).owner_id
        return may_see(self._programs.identity(client), owner_id)

    def _name(self, party: Party) -> int | str:
        return self._sides[party.kind].name(party)

    def _deliver(self, to: Party, reply: Reply) -> bool:
        return any(carrier.deliver(to, reply) for carrier in self._carriers)

    def _tell_queue(self, party: Party) -> None:
        """At once, but not more often than the recipient can bear: a queue may be long."""
        if party in self._told_s:
            self._untold.add(party)
        elif any(carrier.listens(party) for carrier in self._carriers):
            self._told_s[party] = monotonic()
            self._deliver(party, self.queue_of(party))


def node_list(client: Client, online: OnlineNodes) -> Reply:
    """Of the modules that are online, those that this program may see."""
    seen = [row for owner_id, rows in online.items() if may_see(client, owner_id) for row in rows]
    return Reply(action="updateOnlineNodes", parameters={"onlineNodes": seen})
