"""A whole gateway without its doors: the real core on a temporary database, the web over it."""

from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette

from firmware.facts import Facts
from firmware.house import Firmware
from firmware.values import Image
from gateway.core.access.sessions import COOKIE, Session
from gateway.core.core import Core
from gateway.core.rights import Person, Role, ServiceRole
from gateway.core.values import Application, Module
from tests.web.reader import Page

BASE = "http://gateway.test"
PASSWORD = "correct horse battery"
ROLES = {"admin": Role.ADMIN, "technician": Role.TECHNICIAN, "user": Role.USER}


@dataclass
class Caller:
    """A browser with a session (or none), or a program with its header."""

    http: httpx.AsyncClient
    session: Session | None = None

    async def page(self, path: str, status: int = 200) -> Page:
        reply = await self.http.get(path)
        assert reply.status_code == status, reply.text
        return Page(reply.text)

    async def send(self, page_path: str, action: str, **values: Any) -> httpx.Response:
        """Fill in the form of a page as it was rendered, and send it."""
        form = (await self.page(page_path)).form(action)
        assert form.method == "post"
        return await self.http.post(action, data=form.filled(**values))

    async def done(self, page_path: str, action: str, **values: Any) -> Page:
        """Send a form that must be taken; returns the page with the result."""
        reply = await self.send(page_path, action, **values)
        assert reply.status_code == 303, Page(reply.text).notice or reply.text
        return await self.page(reply.headers["location"])

    async def refused(self, page_path: str, action: str, status: int, **values: Any) -> Page:
        reply = await self.send(page_path, action, **values)
        assert reply.status_code == status, reply.text
        return Page(reply.text)

    async def call(self, method: str, path: str, status: int, **options: Any) -> Any:
        """A REST call with the session's token where there is a session."""
        headers = {"X-CSRF-Token": self.session.csrf} if self.session else {}
        reply = await self.http.request(method, f"/api/v1{path}", headers=headers, **options)
        assert reply.status_code == status, reply.text
        return reply.json() if reply.content else None


@dataclass
class House:
    core: Core
    app: Starlette
    firmware: Firmware
    people: dict[str, Person] = field(default_factory=dict)

    def anybody(self, address: str = "192.0.2.1", **headers: str) -> Caller:
        transport = httpx.ASGITransport(self.app, client=(address, 40000), raise_app_exceptions=False)
        return Caller(httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers))

    async def person(self, name: str) -> Person:
        if name not in self.people:
            user = await self.core.accounts.people.add(name, PASSWORD, ROLES[name.split("_")[0]], "test")
            self.people[name] = user.person
        return self.people[name]

    async def browser(self, name: str) -> Caller:
        """Somebody logged in; the first word of the name is the role."""
        session, token = await self.core.accounts.sessions.open(
            await self.person(name), "browser", "192.0.2.1"
        )
        caller = self.anybody()
        caller.http.cookies.set(COOKIE, token)
        caller.session = session
        return caller

    async def program(self, name: str) -> Caller:
        """Somebody's program, with an access token."""
        tokens = await self.core.accounts.sessions.issue(await self.person(name), "192.0.2.1")
        return self.anybody(authorization=f"Bearer {tokens.access_token}")

    async def service(self, role: ServiceRole) -> Caller:
        _, token = await self.core.services.add(f"{role}-1", role, await self.person("admin"))
        return self.anybody(authorization=httpx.BasicAuth(f"{role}-1", token)._auth_header)

    async def waiting(self, serial: str, type: int = 7, **more: Any) -> Module:
        application = Application(type=type, serial=serial, **more)
        granted = await self.core.enrolment.register(application, "198.51.100.7")
        return self.core.registry.get(granted.id)

    async def module(self, serial: str, type: int = 7, owner: str = "", **more: Any) -> Module:
        """An approved module."""
        await self.waiting(serial, type, **more)
        admin = await self.person("admin")
        await self.core.decisions.approve([serial], admin)
        if owner:
            await self.core.registry.edit(serial, admin, owner_id=(await self.person(owner)).id)
        return self.core.registry.get(serial)

    def stop_the_clock(self) -> None:
        """No try is given back while a slow machine makes the next one."""
        accounts = self.core.accounts
        for throttle in (accounts._tries, accounts._tries_of_address, self.core.enrolment.throttle):
            throttle._clock = lambda: 1000.0

    async def audit_rows(self) -> int:
        rows = await self.core.audit.rows(limit=1)
        return int(rows[0]["number"]) if rows else 0

    async def image(self, serial: str = "fw-1", data: bytes = b"", type: int = 7, **facts: Any) -> Image:
        """An image in the catalogue, put there by the gateway itself."""
        known = {"version": "1.0"} | facts
        async with self.firmware.images.receiving() as upload:
            await upload.write(data or f"the image {serial}".encode() * 50)
            return await self.firmware.images.add(upload, Facts(serial=serial, type=type, **known), "test")
