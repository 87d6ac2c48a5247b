"""How each person likes the pages: language, time zone, colours; the same on every device."""

import re
from dataclasses import asdict, dataclass, replace
from functools import cache
from zoneinfo import available_timezones

from gateway.core import audit
from gateway.core.errors import Invalid
from gateway.core.events import Hub
from gateway.core.rights import Person
from gateway.storage.models import upsert
from gateway.storage.models_preferences import PreferenceRow
from gateway.storage.store import Store

THEMES = ("auto", "light", "dark")
_LANGUAGE = re.compile(r"[a-z]{2,3}\Z")


@cache
def zones() -> frozenset[str]:
    """Every time zone by its name, as in `Europe/Paris`."""
    return frozenset(available_timezones())


@dataclass(frozen=True, slots=True)
class Preference:
    """Empty: as the browser says."""

    language: str = ""
    zone: str = ""
    theme: str = ""


class Preferences:
    """All of them in memory: pages ask at every request."""

    def __init__(self, store: Store, hub: Hub) -> None:
        self._store = store
        self._hub = hub
        self._of: dict[int, Preference] = {}

    async def load(self) -> None:
        rows = await self._store.run(lambda: list(PreferenceRow.select()))
        self._of = {row.user_id: Preference(row.language, row.zone, row.theme) for row in rows}

    def of(self, person_id: int) -> Preference:
        return self._of.get(person_id, Preference())

    async def change(self, person: Person, **wanted: str) -> Preference:
        """Set what is given of `language`, `zone` and `theme`; raises `Invalid`."""
        before = self.of(person.id)
        after = replace(before, **wanted)
        _check(after)
        if after != before:
            await self._store.run(lambda: _write(person, before, after))
            self._of[person.id] = after
            self._hub.acted("user.preferences", person.name, person)
        return after


def _check(wanted: Preference) -> None:
    if wanted.language and not _LANGUAGE.match(wanted.language):
        raise Invalid("%(language)r is no language.", language=wanted.language[:20])
    if wanted.zone and wanted.zone not in zones():
        raise Invalid("%(name)r is no time zone.", name=wanted.zone[:64])
    if wanted.theme not in ("", *THEMES):
        raise Invalid("Colours are one of: %(themes)s.", themes=", ".join(THEMES))


def _write(person: Person, before: Preference, after: Preference) -> None:
    upsert(PreferenceRow, [{"user_id": person.id, **asdict(after)}])
    audit.write("user.preferences", person.name, person.name, before=asdict(before), after=asdict(after))
