"""Who may do what: one rule for every transport.

A message path is a tuple of words without the topic root: `("MC-1", "up", "telemetry")`. Grants and filters
are paths that may hold `+` (any one word) and end in `#` (any rest, none included), as in MQTT.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Path = tuple[str, ...]
Action = Literal["publish", "subscribe", "receive"]


class Role(StrEnum):
    USER = "user"
    TECHNICIAN = "technician"
    ADMIN = "admin"


class ServiceRole(StrEnum):
    READER = "reader"
    CONTROLLER = "controller"


@dataclass(frozen=True, slots=True)
class Enrolling:
    """A device without credentials; `nonce` is its client id."""

    nonce: str


@dataclass(frozen=True, slots=True)
class ModuleIdentity:
    """A module by its own token. `claim`: the number of its re-enrolment, when it lost the token it had.

    `proof` tells with which token it came, so that its sessions end with that token; empty: not known.
    """

    id: str
    approved: bool
    claim: int = 0
    proof: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Service:
    """A program's account (Home Assistant, Node-RED), made by an admin.

    `proof` tells with which token it came, so that its sessions end with that token; empty: not known.
    """

    name: str
    role: ServiceRole
    proof: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Person:
    """`groups`: the modules a user sees beside his own, and the only ones a technician looks after (none
    named: all). `acts` False: may look and nothing else."""

    id: int
    name: str
    role: Role
    groups: frozenset[str] = frozenset()
    acts: bool = True


@dataclass(frozen=True, slots=True)
class Client:
    """A program registered over `client.to.instance`; an admin may have given it to a person."""

    id: int
    owner_id: int | None


@dataclass(frozen=True, slots=True)
class Everything:
    """The gateway itself: all paths under the root."""


def name_of(by: Person | str) -> str:
    """How the audit trail calls who did something: a person, or a module, a program, the gateway itself."""
    return by.name if isinstance(by, Person) else by


Principal = Enrolling | ModuleIdentity | Service | Person | Everything

NOTHING: tuple[Path, ...] = ()
_DISCOVERY: Path = ("discovery", "#")
_OUT: Path = ("+", "out", "#")
_ASK: Path = ("+", "ask", "+")
_ASK_REPLY: Path = ("+", "ask", "+", "reply")


def grants(principal: Principal, action: Action) -> tuple[Path, ...]:
    """The paths over which `principal` may do `action`. Everything else is refused."""
    sending = action == "publish"
    match principal:
        case Enrolling(nonce):
            return (("register", nonce),) if sending else (("register", nonce, "reply"),)
        case ModuleIdentity(id, False):
            return ((id, "up", "register"),) if sending else ((id, "down", "registered"),)
        case ModuleIdentity(id):
            return ((id, "up", "#"),) if sending else ((id, "down", "#"),)
        case Service(_, role):
            if sending:
                return (_ASK,) if role is ServiceRole.CONTROLLER else NOTHING
            return (_OUT, _ASK_REPLY, _DISCOVERY)
        case Everything():
            return (("#",),)
        case _:
            return NOTHING


def allows(principal: Principal, action: Action, what: Path) -> bool:
    """Whether every path that `what` can stand for lies within one grant of `principal`."""
    return any(covers(grant, what) for grant in grants(principal, action))


def covers(grant: Path, what: Path) -> bool:
    """Whether `grant` holds all paths of `what`; both may have wildcards.

    A `+` or `#` in `what` is only covered by an equal or wider wildcard, so a filter can never reach
    further than its grant.
    """
    for index, word in enumerate(grant):
        if word == "#":
            return True
        if index >= len(what):
            return False
        asked = what[index]
        if asked == "#" or (word != "+" and word != asked):
            return False
    return len(grant) == len(what)


def may_see(principal: Principal | Client, owner_id: int | None, group: str = "") -> bool:
    """Whether a person, a program or the house itself may see a module of this owner, in this group."""
    match principal:
        case Person():
            return _is_within(principal, owner_id, group)
        case Client(_, its_owner_id):
            return owner_id is None or owner_id == its_owner_id
        case Service() | Everything():
            return True
        case _:
            return False


def _is_within(person: Person, owner_id: int | None, group: str) -> bool:
    if person.role is Role.ADMIN or owner_id == person.id:
        return True
    in_scope = group != "" and group in person.groups
    return in_scope or (person.role is Role.TECHNICIAN and not person.groups)


def may_act(principal: Principal) -> bool:
    """Send commands and change settings of what one sees: people who may more than look, and controllers."""
    match principal:
        case Person(role=role, acts=acts):
            return acts or role is not Role.USER
        case Service(_, role):
            return role is ServiceRole.CONTROLLER
        case _:
            return isinstance(principal, Everything)


def may_manage(principal: Principal) -> bool:
    """Approve, reject, rotate, revoke, assign: technicians and admins; of the modules they see."""
    return isinstance(principal, Everything) or (
        isinstance(principal, Person) and principal.role in (Role.TECHNICIAN, Role.ADMIN)
    )


def may_administer(principal: Principal) -> bool:
    """Users, service accounts, settings, maintenance: admins."""
    return isinstance(principal, Everything) or (
        isinstance(principal, Person) and principal.role is Role.ADMIN
    )
