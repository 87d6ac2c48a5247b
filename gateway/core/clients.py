"""Programs that registered over `client.to.instance`: an id, a token, and what they say of themselves."""

from typing import Any

import msgspec

from gateway.core import audit, clock, tokens
from gateway.core.access.people import People
from gateway.core.errors import Forbidden, Full, Invalid, NotFound
from gateway.core.events import ClientChanged, ClientRemoved, Hub
from gateway.core.joining import Joining
from gateway.core.limits import Throttle
from gateway.core.rights import Client, Person, may_administer
from gateway.storage.models_dialects import ClientRow
from gateway.storage.store import Store

MOST = 1000
MAX_INFORMATION = 4096
BURST = 20
EVERY_S = 10.0
UPDATES, UPDATE_EVERY_S = 20, 30.0
# A program has no module type, so a window for one type is not for programs.
NO_TYPE = -1


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A registered program; `information` is its own word, and proves nothing."""

    id: int
    information: dict[str, Any]
    owner_id: int | None
    address: str
    created_at_ms: int
    last_login_ms: int | None

    @property
    def identity(self) -> Client:
        return Client(self.id, self.owner_id)

    @property
    def name(self) -> str:
        return text_of(self.information, "name")

    @property
    def location(self) -> str:
        return text_of(self.information, "location")


class Clients:
    """All of them in memory; what changes is durable before the call returns."""

    def __init__(
        self, store: Store, hub: Hub, joining: Joining, people: People, *, rate_limits: bool
    ) -> None:
        self._store = store
        self._hub = hub
        self._joining = joining
        self._people = people
        self._programs: dict[int, Program] = {}
        self._ids: dict[str, int] = {}
        self._arriving = 0
        self.throttle = Throttle(BURST, EVERY_S, enabled=rate_limits)
        self._updates = Throttle(UPDATES, UPDATE_EVERY_S, enabled=rate_limits)

    async def load(self) -> None:
        for row in await self._store.run(lambda: list(ClientRow.select())):
            self._keep(_program(row), row.token_digest)

    def all(self) -> list[Program]:
        return sorted(self._programs.values(), key=lambda program: program.id)

    def known(self, id: int) -> Program | None:
        return self._programs.get(id)

    def get(self, id: int) -> Program:
        if program := self._programs.get(id):
            return program
        raise NotFound("There is no client %(id)s.", id=str(id)[:20])

    def by_token(self, token: object) -> Program | None:
        """Found by the token's digest, so the time it takes tells nothing about other tokens."""
        if not isinstance(token, str) or not token:
            return None
        id = self._ids.get(tokens.digest(token))
        return self._programs[id] if id is not None else None

    async def register(self, information: object, address: str) -> tuple[Program, str]:
        """A newcomer and its token, shown once. Raises Invalid, TooMany, Closed, Full."""
        self.throttle.spend(address, "Too many registrations from this address.")
        told = checked_information(information)
        self._joining.check(NO_TYPE)
        if len(self._programs) + self._arriving >= MOST:
            raise Full("%(most)s programs are registered already; an admin can remove some.", most=MOST)
        self._joining.count_in()
        token = tokens.new_token()
        digest = tokens.digest(token)
        self._arriving += 1
        try:
            program = await self._store.run(lambda: _insert(told, digest, address))
        finally:
            self._arriving -= 1
        self._keep(program, digest)
        return program, token

    async def update(self, id: int, information: object) -> Program:
        """What the program says of itself now."""
        told, program = checked_information(information), self.get(id)
        if told == program.information:
            return program
        # Each leaves a row in the trail, and nobody approved this program.
        self._updates.spend(id, "Too many updates.")
        return await self._change(program, f"client {id}", "client.update", information=told)

    async def give(self, id: int, owner_id: int | None, by: Person) -> Program:
        """From now on it sees the modules of this person too (None: only those that nobody owns)."""
        _must_administer(by)
        owner = self._people.get(owner_id).username if owner_id is not None else ""
        program = await self._change(self.get(id), by.name, "client.give", owner_id=owner_id)
        self._hub.publish(ClientChanged(id))
        self._hub.acted("client.give", f"client {id}", by, owner=owner)
        return program

    async def remove(self, id: int, by: Person) -> None:
        """It goes, with its token and what waits for it; its session ends."""
        _must_administer(by)
        self.get(id)

        def work() -> None:
            ClientRow.delete().where(ClientRow.id == id).execute()
            audit.write("client.remove", f"client {id}", by.name)

        await self._store.run(work)
        if self._programs.pop(id, None) is not None:
            self._ids = {digest: other for digest, other in self._ids.items() if other != id}
            self._hub.publish(ClientRemoved(id))
            self._hub.acted("client.remove", f"client {id}", by)

    def logged_in(self, id: int) -> None:
        """Written behind."""
        now_ms = clock.now_ms()
        self._programs[id] = msgspec.structs.replace(self.get(id), last_login_ms=now_ms)
        self._store.submit(lambda: ClientRow.update(last_login_ms=now_ms).where(ClientRow.id == id).execute())

    async def _change(self, program: Program, who: str, action: str, **changes: Any) -> Program:
        columns = changes | (
            {"information": msgspec.json.encode(changes["information"]).decode()}
            if "information" in changes
            else {}
        )
        note = {name: value for name, value in changes.items() if name != "information"}

        def work() -> None:
            ClientRow.update(**columns).where(ClientRow.id == program.id).execute()
            audit.write(action, f"client {program.id}", who, **note)

        await self._store.run(work)
        # As it is now: it may have changed otherwise, or left, meanwhile.
        after = msgspec.structs.replace(self.get(program.id), **changes)
        self._programs[program.id] = after
        return after

    def _keep(self, program: Program, digest: str) -> None:
        self._programs[program.id] = program
        self._ids[digest] = program.id


def checked_information(information: object) -> dict[str, Any]:
    """The object that a program or module tells of itself; raises `Invalid`."""
    if not isinstance(information, dict):
        raise Invalid("The information is missing, or not an object.")
    if len(msgspec.json.encode(information)) > MAX_INFORMATION:
        raise Invalid("The information may take %(max_information)s bytes.", max_information=MAX_INFORMATION)
    return information


def text_of(information: dict[str, Any], name: str) -> str:
    value = information.get(name)
    return value[:200] if isinstance(value, str) else ""


def _must_administer(by: Person) -> None:
    if not may_administer(by):
        raise Forbidden("Only an admin decides about registered programs.")


def _insert(information: dict[str, Any], digest: str, address: str) -> Program:
    created_at_ms = clock.now_ms()
    text = msgspec.json.encode(information).decode()
    id = ClientRow.insert(
        token_digest=digest, information=text, address=address, created_at_ms=created_at_ms
    ).execute()
    audit.write("client.register", f"client {id}", f"client {id}", address=address)
    return Program(
        id=int(id), information=information, owner_id=None, address=address, created_at_ms=created_at_ms,
        last_login_ms=None,
    )  # fmt: skip


def _program(row: ClientRow) -> Program:
    return Program(
        id=row.id, information=msgspec.json.decode(row.information), owner_id=row.owner_id,
        address=row.address, created_at_ms=row.created_at_ms, last_login_ms=row.last_login_ms,
    )  # fmt: skip
