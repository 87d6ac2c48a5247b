"""A house in which each act can be done once more: makes what the act needs, and says how to ask for it."""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.core.notify.channel_values import Plan, Target
from gateway.core.rights import Person, Role, ServiceRole
from gateway.core.values import Application
from tests.web.house import PASSWORD, Caller, House

GENERIC, STATION = 7, 1
KEY = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()


@dataclass
class Act:
    """One request. `caller` None: the admin. `form_at`: the page whose form is filled in and sent."""

    path: str
    body: Any = field(default_factory=dict)
    caller: Caller | None = None
    form_at: str = ""


Recipe = Callable[["Stage"], Awaitable[Act]]
Maker = Callable[["Stage"], Awaitable[Any]]


def at(path: str, **body: Any) -> Recipe:
    """What needs nothing to be there first."""

    async def act(stage: "Stage") -> Act:
        return Act(path.replace("NEW", stage.name()), {k: stage.fresh(v) for k, v in body.items()})

    return act


def on(make: Maker, path: str, **body: Any) -> Recipe:
    """The act on what `make` makes: `{}` in the path and in the body's values."""

    async def act(stage: "Stage") -> Act:
        made = await make(stage)
        return Act(path.format(made), {k: _put(stage.fresh(v), made) for k, v in body.items()})

    return act


def _put(value: Any, made: Any) -> Any:
    if value == "{}":
        return made
    return value.format(made) if isinstance(value, str) else value


class Stage:
    def __init__(self, house: House, admin: Person, mark: str) -> None:
        self.house, self.core, self.admin, self._mark = house, house.core, admin, mark
        self._made = 0

    def name(self, begin: str = "X") -> str:
        self._made += 1
        return f"{begin}-{self._mark}{self._made}"

    def fresh(self, value: Any) -> Any:
        return self.name() if value == "NEW" else value

    async def module(self) -> str:
        return (await self.house.module(self.name("M"), type=GENERIC)).id

    async def station(self) -> str:
        return (await self.house.module(self.name("S"), type=STATION)).id

    async def owned(self) -> str:
        return (await self.house.module(self.name("O"), owner="user")).id

    async def waiting(self) -> str:
        return (await self.house.waiting(self.name("W"))).id

    async def rejected(self) -> str:
        id = await self.waiting()
        await self.core.decisions.reject([id], self.admin, "no")
        return id

    async def claim(self) -> int:
        """A known serial that registered again."""
        id = await self.module()
        await self.core.enrolment.register(Application(type=GENERIC, serial=id), "198.51.100.9")
        return list(self.core.registry.claims())[-1].number

    async def claim_code(self) -> str:
        return self.core.ownership.code_of(await self.module(), self.admin)

    async def command(self) -> str:
        id = await self.station()
        sent = await self.core.commands.send(id, "start", {}, self.admin)
        return f"{id}/commands/{sent.id}"

    async def desired(self) -> str:
        id = await self.module()
        await self.core.desired.set(id, {"speed": 3}, 0, self.admin)
        return id

    async def maintained(self) -> None:
        await self.core.maintenance.set(True, self.name(), self.admin)

    async def image(self) -> int:
        if self.house.firmware.signing.policy.require_vendor:
            await self.house.firmware.signing.set_policy(False, self.admin)
        return (await self.house.image(self.name("fw"))).id

    async def assignable(self) -> tuple[str, int]:
        return await self.module(), await self.image()

    async def job(self) -> str:
        id, image = await self.assignable()
        job = await self.house.firmware.assignments.assign(id, image, self.admin)
        assert job is not None
        return job.id

    async def cancelled(self) -> str:
        id = await self.job()
        await self.house.firmware.assignments.cancel(id, self.admin)
        return id

    async def vendor_key(self) -> str:
        await self.no_vendor_key()
        name = self.name("acme")
        await self.house.firmware.signing.add_key(name, KEY, self.admin)
        return name

    async def no_vendor_key(self) -> str:
        for name in list(self.house.firmware.signing.keys):
            await self.house.firmware.signing.remove_key(name, self.admin)
        return ""

    async def rollout(self) -> int:
        id, image = await self.assignable()
        plan = {"name": self.name("r"), "firmware_id": image, "modules": [id]}
        return (await self.house.firmware.rollouts.create(plan, self.admin)).id

    async def paused(self) -> int:
        id = await self.rollout()
        await self.house.firmware.rollouts.pause(id, self.admin)
        return id

    async def own_type(self) -> int:
        self._made += 1
        await self.core.own_types.add({"code": 200 + self._made, "name": "Pump"}, self.admin)
        return 200 + self._made

    async def bootstrap(self) -> int:
        await self.core.bootstrap.allow(GENERIC, self.admin)
        return GENERIC

    async def user(self) -> int:
        people = self.core.accounts.people
        return (await people.add(self.name("u"), PASSWORD, Role.USER, self.admin)).id

    async def logged_in(self) -> int:
        id = await self.user()
        await self.core.accounts.sessions.open(self.core.accounts.people.get(id).person, "browser", "x")
        return id

    async def person(self) -> Caller:
        """Somebody of his own, in a browser."""
        name = self.name("user").replace("-", "_")
        return await self.house.browser(name)

    async def invitation(self) -> int:
        made, _ = await self.invited()
        return int(made.id)

    async def invited(self) -> tuple[Any, str]:
        return await self.core.accounts.invitations.add(Role.USER, self.admin)

    async def asked(self) -> int:
        if self.core.choices.text("people.sign_up") != "approval":
            await self.core.choices.set({"people.sign_up": "approval"}, self.admin)
        await self.core.accounts.sign_ups.ask(self.name("n"), PASSWORD, self.name("10.0.0"))
        return int(self.core.accounts.sign_ups.all()[-1].id)

    async def service(self) -> str:
        name = self.name("svc")
        await self.core.services.add(name, ServiceRole.READER, self.admin)
        return name

    async def program(self) -> int:
        program, _ = await self.core.clients.register({"name": "x"}, self.name("10.1.0"))
        return int(program.id)

    async def token(self) -> int:
        token, _ = await self.core.accounts.tokens.add(self.admin, self.name("t"), "read", Role.USER, 30)
        return int(token.id)

    async def channel(self) -> int:
        plan = Plan(name=self.name("c"), kind="webhook", target=Target(url="http://127.0.0.1:9/x"))
        made, _ = await self.core.alerting.channels.add(plan, "", self.admin)
        return int(made.id)
