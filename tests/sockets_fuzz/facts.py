"""What is so, and what was so since everybody last had heard everything: the ground of the oracle.

Everything that belongs to a module, a person or a program carries a mark that stands nowhere else, so
whatever way its data takes to a socket, the frame that brings it tells whose it is.
"""

import re
from dataclasses import dataclass, field
from typing import Any

MARKS = re.compile(r"(QM\d\d\dQ)|(Px[a-z]+xP)|(Kc\d+K)|(L\d+L)")
LIVE_PAGES = ("modules", "dashboard", "admin")
PAGES = (*LIVE_PAGES, "waiting", "account", "", "x" * 200)


class Fact:
    """`now`, and all that it was `lately`."""

    def __init__(self, now: Any) -> None:
        self.now = now
        self.lately = {now}

    def set(self, now: Any) -> None:
        self.now = now
        self.lately.add(now)

    def settle(self) -> None:
        self.lately = {self.now}


@dataclass
class Module:
    """`owner` is a person's mark; `life` is pending, approved, revoked or gone."""

    id: str
    uuid: str
    number: int
    token: str
    owner: Fact = field(default_factory=lambda: Fact(None))
    life: Fact = field(default_factory=lambda: Fact("pending"))
    said: int = 0

    def mark(self) -> str:
        """A value that only this module's data can hold."""
        self.said += 1
        return f"{self.id}:{self.said}"


@dataclass
class Someone:
    """A person; `role` is None while locked."""

    mark: str
    id: int
    role: Fact


@dataclass
class Program:
    number: int
    token: str
    owner: Fact = field(default_factory=lambda: Fact(None))
    here: Fact = field(default_factory=lambda: Fact(True))

    @property
    def mark(self) -> str:
        return f"Kc{self.number}K"


@dataclass
class Letter:
    """What a program or module sent to another: its mark may be read by `to` alone."""

    mark: str
    to: Any


class Actor:
    """A socket, and who it proved to be: a person's tab, a module, a node, a program, or nobody."""

    def __init__(self, kind: str, socket: Any, who: Any = None, session: Any = None) -> None:
        self.kind, self.socket, self.who, self.session = kind, socket, who, session
        self.alive = Fact(True)
        self.page = Fact("")
        # What it watches of the modules; all where it names none.
        self.wanted: frozenset[str] = frozenset()
        self.view: dict[str, Any] | None = None
        self.judged = 0
        self.new = True

    def __repr__(self) -> str:
        who = getattr(self.who, "mark", None) if self.kind in ("tab", "client") else self.who and self.who.id
        return f"<{self.kind} of {who}, page {self.page.lately}, alive {self.alive.lately}>"

    def roles(self) -> set[Any]:
        """Of a tab: what roles it had while it was let in."""
        return self.who.role.lately - {None} if self.kind == "tab" and True in self.alive.lately else set()

    def is_staff(self) -> bool:
        return bool(self.roles() & {"technician", "admin"})

    def is_admin(self, page: str | None = None) -> bool:
        return "admin" in self.roles() and (page is None or page in self.page.lately)

    def has_live_page(self) -> bool:
        return any(page in LIVE_PAGES for page in self.page.lately)

    def owns(self, module: Module) -> bool:
        return self.kind == "tab" and bool(self.roles()) and self.who.mark in module.owner.lately

    def sees(self, module: Module) -> bool:
        """At any moment lately: the audience of PROTOCOLS, by kind of socket."""
        if True not in self.alive.lately:
            return False
        if self.kind == "tab":
            return self.is_staff() or self.owns(module)
        if self.kind in ("module", "node"):
            return self.who is module and "approved" in module.life.lately
        if self.kind == "client":
            open_to = {None} | self.who.owner.lately
            return "approved" in module.life.lately and bool(module.owner.lately & open_to)
        return False

    def surely_sees(self, module: Module) -> bool:
        """All the time lately."""
        if self.alive.lately != {True} or self.kind != "tab":
            return False
        roles = self.who.role.lately
        return roles <= {"technician", "admin"} or (
            None not in roles and module.owner.lately == {self.who.mark}
        )
