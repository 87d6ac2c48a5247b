"""The browsers that are there: who each one is, which page it shows, what it may be told."""

import msgspec

from gateway.core.rights import Person, Role, may_see

LIVE_PAGES = frozenset({"modules", "dashboard", "admin"})


class Browser(msgspec.Struct):
    """One tab. `watching`: it keeps the list of modules by itself (None: not; empty: all it may see).

    `backlog`: what has changed while it did not keep up. `missed`: it did not hear everything it should have;
    `missed_updates`: it was not told since how updates and rollouts stand.
    """

    sid: str
    person: Person
    session_id: int
    page: str = ""
    watching: frozenset[str] | None = None
    backlog: dict[str, set[str]] = msgspec.field(default_factory=dict)
    missed: bool = False
    missed_updates: bool = False

    def may_see(self, owner_id: int | None, group: str = "") -> bool:
        return may_see(self.person, owner_id, group)

    def watches(self, module_id: str, owner_id: int | None, group: str) -> bool:
        return (
            self.watching is not None
            and (not self.watching or module_id in self.watching)
            and self.may_see(owner_id, group)
        )


class Audience:
    """Several tabs of one person are all there and equal."""

    def __init__(self) -> None:
        self._browsers: dict[str, Browser] = {}

    def __len__(self) -> int:
        return len(self._browsers)

    def enter(self, browser: Browser) -> None:
        self._browsers[browser.sid] = browser

    def leave(self, sid: str) -> Browser | None:
        return self._browsers.pop(sid, None)

    def get(self, sid: str) -> Browser | None:
        return self._browsers.get(sid)

    def all(self) -> list[Browser]:
        return list(self._browsers.values())

    def everybody(self) -> list[str]:
        return list(self._browsers)

    def of_person(self, person_id: int | None) -> list[str]:
        return [b.sid for b in self._browsers.values() if b.person.id == person_id]

    def who_see(self, owner_id: int | None, group: str) -> list[str]:
        return [b.sid for b in self._browsers.values() if b.may_see(owner_id, group)]

    def live(self, owner_id: int | None, group: str) -> list[str]:
        """Those who may see the module and show a page with modules on it."""
        return [b.sid for b in self._browsers.values() if b.page in LIVE_PAGES and b.may_see(owner_id, group)]

    def admins(self, *, page: str | None = None) -> list[str]:
        return [
            b.sid
            for b in self._browsers.values()
            if b.person.role is Role.ADMIN and (page is None or b.page == page)
        ]

    def in_sessions(self, person_id: int, session_ids: tuple[int, ...] | None) -> list[str]:
        return [
            b.sid
            for b in self._browsers.values()
            if b.person.id == person_id and (session_ids is None or b.session_id in session_ids)
        ]
