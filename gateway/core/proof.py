"""Proof of possession: the code that a waiting device shows, and that whoever approves it must type.

The code is the beginning of the SHA-256 of the token that the device got, so both sides know it without
another message, a device with its password built in can have it printed on its case, and one that only took
somebody else's serial shows another.
"""

import hmac

from gateway.core import audit
from gateway.core.choices import Choices
from gateway.core.errors import Conflict, Forbidden, Invalid
from gateway.core.events import Hub
from gateway.core.rights import Person, may_administer
from gateway.storage.models import SettingRow, upsert
from gateway.storage.store import Store

CHOICE = "modules.proof"
LENGTH = 8
TRIES = 5
PREFIX = "proof:"
# Of a digest, so much that no two devices share it.
_KEPT = 32


def code_of(token_digest: str) -> str:
    """Eight characters, 0-9 and A-F."""
    return token_digest[:LENGTH].upper()


class Proofs:
    """Whether proof is asked for, and how often somebody was wrong about each device that waits.

    Wrong tries are kept in the database by the digest of the device's token: a restart gives none back, and
    registering anew, which gives another token, does.
    """

    def __init__(self, store: Store, hub: Hub, choices: Choices) -> None:
        self._store = store
        self._hub = hub
        self._choices = choices
        self._wrong: dict[str, int] = {}

    async def load(self) -> None:
        for key, value in await self._store.run(_kept):
            self._wrong[key] = int(value)

    @property
    def required(self) -> bool:
        return self._choices.is_on(CHOICE)

    def locked(self, token_digest: str) -> bool:
        return self._wrong.get(token_digest[:_KEPT], 0) >= TRIES

    def check(self, id: str, token_digest: str, given: str, by: Person) -> None:
        """Raises Invalid for a wrong code and Conflict when there were too many."""
        if not self.required:
            return
        if self.locked(token_digest):
            raise Conflict(
                "%(id)s is locked after %(tries)s wrong codes. Let it register anew, or ask an admin to"
                " unlock it.",
                id=id, tries=TRIES,
            )  # fmt: skip
        code = "".join(given.split()).replace("-", "").upper()
        if not code:
            raise Invalid("Type the %(length)s characters that %(id)s shows.", length=LENGTH, id=id)
        if not hmac.compare_digest(code.encode(), code_of(token_digest).encode()):
            left = self._count(id, token_digest, by)
            raise Invalid("This is not the code that %(id)s shows. Tries left: %(left)s.", id=id, left=left)

    def forget(self, token_digest: str) -> None:
        """It was decided upon, or registered anew."""
        key = token_digest[:_KEPT]
        if self._wrong.pop(key, None) is not None:
            self._store.submit(lambda: _delete([key]))

    def keep_only(self, token_digests: set[str]) -> None:
        """Of those that wait no more nothing is kept."""
        waiting = {digest[:_KEPT] for digest in token_digests}
        gone = [key for key in self._wrong if key not in waiting]
        for key in gone:
            del self._wrong[key]
        if gone:
            self._store.submit(lambda: _delete(gone))

    async def unlock(self, id: str, token_digest: str, by: Person) -> None:
        if not may_administer(by):
            raise Forbidden("Only an admin unlocks a device after wrong codes.")
        key = token_digest[:_KEPT]

        def work() -> None:
            _delete([key])
            audit.write("module.unlock", id, by.name)

        await self._store.run(work)
        self._wrong.pop(key, None)
        self._hub.acted("module.unlock", id, by)

    def _count(self, id: str, token_digest: str, by: Person) -> int:
        key = token_digest[:_KEPT]
        wrong = self._wrong[key] = self._wrong.get(key, 0) + 1

        def work() -> None:
            upsert(SettingRow, [{"key": PREFIX + key, "value": str(wrong)}])
            audit.write("module.wrong_code", id, by.name, level="warning", tries=wrong)

        self._store.submit(work)
        self._hub.acted("module.wrong_code", id, by, tries=wrong)
        return TRIES - wrong


def _kept() -> list[tuple[str, str]]:
    rows = SettingRow.select().where(SettingRow.key.startswith(PREFIX))
    return [(row.key.removeprefix(PREFIX), row.value) for row in rows]


def _delete(keys: list[str]) -> None:
    SettingRow.delete().where(SettingRow.key.in_([PREFIX + key for key in keys])).execute()
