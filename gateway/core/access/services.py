"""Accounts of programs (Home Assistant, Node-RED): a name, a role and a token that is shown once."""

import re

import msgspec

from gateway.core import audit, clock, tokens
from gateway.core.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.core.events import Hub, ServiceChanged
from gateway.core.rights import Person, Service, ServiceRole, may_administer
from gateway.storage.models import ServiceRow
from gateway.storage.store import Store

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class ServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    name: str
    role: ServiceRole
    created_at_ms: int


class Services:
    def __init__(self, store: Store, hub: Hub) -> None:
        self._store = store
        self._hub = hub
        self._accounts: dict[str, ServiceAccount] = {}
        self._digests: dict[str, str] = {}

    async def load(self) -> None:
        for row in await self._store.run(lambda: list(ServiceRow.select())):
            self._keep(_account(row), row.token_digest)

    def all(self) -> list[ServiceAccount]:
        return sorted(self._accounts.values(), key=lambda account: account.name)

    def get(self, name: str) -> ServiceAccount:
        try:
            return self._accounts[name]
        except KeyError:
            raise NotFound("There is no service account %(name)r.", name=name[:64]) from None

    async def add(self, name: str, role: ServiceRole, by: Person) -> tuple[ServiceAccount, str]:
        """A new account and its token, shown once."""
        if not may_administer(by):
            raise Forbidden("Only an admin makes service accounts.")
        if not NAME.match(name):
            raise Invalid("A service account's name is 1-64 letters, digits, '_' or '-'.")
        if name in self._accounts:
            raise Conflict("There is a service account %(name)r already.", name=name)
        token = tokens.new_token()
        digest = tokens.digest(token)

        def work() -> ServiceAccount:
            row = ServiceRow.create(
                name=name, role=role.value, token_digest=digest, created_at_ms=clock.now_ms()
            )
            audit.write("service.add", name, by.name, role=role.value)
            return _account(row)

        account = await self._store.run(work)
        self._keep(account, digest)
        self._hub.publish(ServiceChanged(name))
        self._hub.acted("service.add", name, by, role=role.value)
        return account, token

    async def rotate(self, name: str, by: Person) -> str:
        """A new token, shown once; the one before is dead at once, and the sessions opened with it end."""
        if not may_administer(by):
            raise Forbidden("Only an admin rotates the token of a service account.")
        self.get(name)
        token = tokens.new_token()
        digest = tokens.digest(token)

        def work() -> None:
            ServiceRow.update(token_digest=digest).where(ServiceRow.name == name).execute()
            audit.write("service.rotate", name, by.name)

        await self._store.run(work)
        self._digests[name] = digest
        self._hub.publish(ServiceChanged(name))
        self._hub.acted("service.rotate", name, by)
        return token

    async def remove(self, name: str, by: Person) -> None:
        """The account goes; its live sessions end."""
        if not may_administer(by):
            raise Forbidden("Only an admin removes service accounts.")
        self.get(name)

        def work() -> None:
            ServiceRow.delete().where(ServiceRow.name == name).execute()
            audit.write("service.remove", name, by.name)

        await self._store.run(work)
        del self._accounts[name], self._digests[name]
        self._hub.publish(ServiceChanged(name))
        self._hub.acted("service.remove", name, by)

    def authenticate(self, name: object, token: object) -> Service | None:
        account = self._accounts.get(name) if isinstance(name, str) else None
        digest = self._digests[account.name] if account else ""
        right = tokens.matches(token, digest)
        return Service(account.name, account.role, digest) if account and right else None

    def identity_now(self, service: Service) -> Service | None:
        """Who that is now; None when the account is gone, or the token with which it came."""
        account = self._accounts.get(service.name)
        if account is None or service.proof not in ("", self._digests[account.name]):
            return None
        return Service(account.name, account.role, service.proof)

    def by_token(self, token: str) -> Service | None:
        """For HTTP, where the token comes alone."""
        for name in self._accounts:
            if service := self.authenticate(name, token):
                return service
        return None

    def _keep(self, account: ServiceAccount, digest: str) -> None:
        self._accounts[account.name] = account
        self._digests[account.name] = digest


def _account(row: ServiceRow) -> ServiceAccount:
    return ServiceAccount(
        id=row.id, name=row.name, role=ServiceRole(row.role), created_at_ms=row.created_at_ms
    )
