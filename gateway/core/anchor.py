"""How far the audit trail goes, signed, in a file beside the key: so that a trail cut short is noticed."""

import asyncio
import hashlib
import hmac
import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

Fault = Literal["", "changed", "cut", "anchor_missing", "anchor_forged"]
_PURPOSE = b"passerelle audit anchor 1"
# What the database's last commits lie in, beside its file.
_PARTS = ("", "-wal")


class Anchor(msgspec.Struct, frozen=True):
    """The last row there was at that time: its number and its digest."""

    number: int
    chain: str
    at_ms: int


class Anchorage:
    """The file. `database` is SQLite's own file; None where there is none."""

    def __init__(self, path: Path, signing_key: str, database: Path | None) -> None:
        self._path = path
        self._key = signing_key.encode()
        self._database = database

    async def read(self) -> tuple[Anchor | None, bool]:
        """The anchor, if there is one, and whether a file there is not ours (any more)."""
        return await asyncio.to_thread(self._read)

    async def write(self, anchor: Anchor) -> None:
        """Durable, and so is what it vouches for; raises OSError."""
        await asyncio.to_thread(self._write, anchor)

    def _read(self) -> tuple[Anchor | None, bool]:
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return None, False
        except OSError:
            return None, True
        body, _, signature = text.strip().rpartition(b" ")
        if not hmac.compare_digest(self._signature(body), signature):
            return None, True
        with suppress(msgspec.DecodeError):
            return msgspec.json.decode(body, type=Anchor), False
        return None, True

    def _write(self, anchor: Anchor) -> None:
        # After a power cut a trail that is shorter than its anchor would look like one that was cut.
        if self._database is not None:
            for part in _PARTS:
                _sync(Path(f"{self._database}{part}"))
        body = msgspec.json.encode(anchor)
        beside = self._path.with_suffix(".part")
        beside.touch(mode=0o600)
        beside.write_bytes(body + b" " + self._signature(body) + b"\n")
        _sync(beside)
        beside.replace(self._path)

    def _signature(self, body: bytes) -> bytes:
        return hmac.new(self._key, _PURPOSE + body, hashlib.sha256).hexdigest().encode()


def _sync(path: Path) -> None:
    with suppress(FileNotFoundError):
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
