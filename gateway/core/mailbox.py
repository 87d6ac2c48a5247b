"""Pending responses: what waits for a program or a module until it says that it has processed it."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from gateway.core import clock
from gateway.core.errors import Full, Invalid, NotFound
from gateway.core.events import ClientRemoved, Hub, ModuleRemoved
from gateway.storage.models import ModuleRow
from gateway.storage.models_dialects import ClientRow, LetterRow
from gateway.storage.store import Store

Kind = Literal["client", "module"]

MOST_LETTERS = 1000
MOST_BYTES = 1_000_000
MOST_BYTES_OF_ALL = 64_000_000
# What one sender may have waiting, at all its recipients together, so that he does not fill it for others.
MOST_OF_SENDER = 5000
MOST_BYTES_OF_SENDER = 4_000_000
MOST_CONTENT = 64 * 1024
_decode = msgspec.json.Decoder().decode


class Party(msgspec.Struct, frozen=True):
    """A program or a module, by its number."""

    kind: Kind
    number: int


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """`content` is JSON, as it is kept."""

    id: int
    sender: Party
    content: str
    created_at_ms: int

    @property
    def value(self) -> Any:
        return _decode(self.content)


class _Box(msgspec.Struct):
    """Of one recipient; what is just being written is counted already."""

    letters: dict[int, Letter] = msgspec.field(default_factory=dict)
    count: int = 0
    size: int = 0


class Mailbox:
    """Durable, and in memory. A letter leaves by `process` alone, or with its recipient."""

    def __init__(self, store: Store, hub: Hub) -> None:
        self._store = store
        self._boxes: dict[Party, _Box] = {}
        self._sent: dict[Party, _Box] = {}
        self._size = 0
        self.refused = 0
        hub.subscribe(ModuleRemoved, lambda event: self._drop(Party("module", event.module.number)))
        hub.subscribe(ClientRemoved, lambda event: self._drop(Party("client", event.client_id)))

    async def load(self) -> None:
        for row in await self._store.run(_load):
            to = _party(row.to_kind, row.to_number)
            sender = _party(row.from_kind, row.from_number)
            letter = Letter(id=row.id, sender=sender, content=row.content, created_at_ms=row.created_at_ms)
            self._count(self._box(to), sender, 1, len(letter.content))
            self._box(to).letters[letter.id] = letter

    def of(self, to: Party) -> list[Letter]:
        """Oldest first."""
        box = self._boxes.get(to)
        return list(box.letters.values()) if box else []

    async def put(self, to: Party, sender: Party, value: Any) -> Letter:
        """Keep it for its recipient; durable when this returns. Raises Invalid, Full, NotFound (it left)."""
        content = encoded(value)
        created_at_ms = clock.now_ms()
        box = self._box(to)
        self._check_room(box, sender, len(content))
        self._count(box, sender, 1, len(content))
        try:
            id = await self._store.run(lambda: _insert(to, sender, content, created_at_ms))
        except BaseException:
            self._uncount(to, box, sender, len(content))
            raise
        if self._boxes.get(to) is not box:
            self._uncount(to, box, sender, len(content))
            raise NotFound("The recipient was removed.")
        box.letters[id] = Letter(id=id, sender=sender, content=content, created_at_ms=created_at_ms)
        return box.letters[id]

    async def process(self, to: Party, id: int) -> None:
        """Its recipient is done with it. Raises `NotFound` for what is not his, or not there any more."""
        box = self._boxes.get(to)
        letter = box.letters.pop(id, None) if box else None
        if box is None or letter is None:
            raise NotFound("There is no pending response %(id)s for you.", id=id)
        try:
            await self._store.run(lambda: LetterRow.delete().where(LetterRow.id == id).execute())
        except BaseException:
            box.letters = dict(sorted((box.letters | {id: letter}).items()))
            raise
        self._uncount(to, box, letter.sender, len(letter.content))

    def _check_room(self, box: _Box, sender: Party, size: int) -> None:
        if box.count >= MOST_LETTERS or box.size + size > MOST_BYTES:
            self.refused += 1
            raise Full(
                "%(count)s responses wait for this recipient already; it has to process some.",
                count=box.count,
            )
        sent = self._sent.get(sender, _Box())
        if sent.count >= MOST_OF_SENDER or sent.size + size > MOST_BYTES_OF_SENDER:
            self.refused += 1
            raise Full(
                "%(count)s responses of yours wait already; others have to process some.", count=sent.count
            )
        if self._size + size > MOST_BYTES_OF_ALL:
            self.refused += 1
            raise Full("Too many responses wait on this gateway already. Try again later.")

    def _box(self, to: Party) -> _Box:
        return self._boxes.setdefault(to, _Box())

    def _count(self, box: _Box, sender: Party, letters: int, size: int) -> None:
        box.count += letters
        box.size += size
        self._size += size
        self._count_sent(sender, letters, size)

    def _uncount(self, to: Party, box: _Box, sender: Party, size: int) -> None:
        """One less; a box that was dropped meanwhile does not count any more."""
        if self._boxes.get(to) is box:
            self._count(box, sender, -1, -size)
        else:
            self._count_sent(sender, -1, -size)

    def _count_sent(self, sender: Party, letters: int, size: int) -> None:
        sent = self._sent.setdefault(sender, _Box())
        sent.count += letters
        sent.size += size
        if not sent.count:
            del self._sent[sender]

    def _drop(self, to: Party) -> None:
        if (box := self._boxes.pop(to, None)) is not None:
            self._size -= box.size
            box.size = 0
            for letter in box.letters.values():
                self._count_sent(letter.sender, -1, -len(letter.content))
            self._store.submit(_deletion(to))


def encoded(value: Any) -> str:
    """As JSON text; raises `Invalid` for what is too large."""
    content = msgspec.json.encode(value)
    if len(content) > MOST_CONTENT:
        raise Invalid("A message holds at most %(most_content)s bytes.", most_content=MOST_CONTENT)
    return content.decode()


def _party(kind: str, number: int) -> Party:
    return msgspec.convert({"kind": kind, "number": number}, Party)


def _load() -> list[LetterRow]:
    """All, oldest first, but those whose recipient went while nobody could write it down."""
    for kind, rows in (
        ("module", ModuleRow.select(ModuleRow.number)),
        ("client", ClientRow.select(ClientRow.id)),
    ):
        is_orphan = (LetterRow.to_kind == kind) & LetterRow.to_number.not_in(rows)
        LetterRow.delete().where(is_orphan).execute()
    return list(LetterRow.select().order_by(LetterRow.id))


def _insert(to: Party, sender: Party, content: str, created_at_ms: int) -> int:
    return int(
        LetterRow.insert(
            to_kind=to.kind, to_number=to.number, from_kind=sender.kind, from_number=sender.number,
            content=content, created_at_ms=created_at_ms,
        ).execute()
    )  # fmt: skip


def _deletion(to: Party) -> Callable[[], object]:
    mine = (LetterRow.to_kind == to.kind) & (LetterRow.to_number == to.number)
    return lambda: LetterRow.delete().where(mine).execute()
