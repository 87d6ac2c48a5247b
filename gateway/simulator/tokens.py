"""What devices keep over a restart: who they are and their token, in one file that only its owner reads."""

import asyncio
import os
from pathlib import Path

import msgspec

SAVE_AFTER_S = 0.2


class Credential(msgspec.Struct, frozen=True):
    """`approved`: it has been let in before, so its token is not given up lightly."""

    id: str
    token: str
    approved: bool = False

    def __repr__(self) -> str:
        return f"Credential({self.id!r})"


class Tokens:
    """By serial; without a path in memory only. Written as a whole, a moment after each change.

    `load` raises OSError, or ValueError when the file is no such file.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._kept: dict[str, Credential] = {}
        self._saving: asyncio.TimerHandle | None = None

    def load(self) -> None:
        if self._path is None or not self._path.exists():
            return
        try:
            self._kept = msgspec.json.decode(self._path.read_bytes(), type=dict[str, Credential])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ValueError(f"{self._path} holds no tokens of simulated modules.") from None

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, serial: str) -> Credential | None:
        return self._kept.get(serial)

    def keep(self, serial: str, credential: Credential) -> None:
        if self._kept.get(serial) != credential:
            self._kept[serial] = credential
            self._changed()

    def forget(self, serial: str) -> None:
        if self._kept.pop(serial, None) is not None:
            self._changed()

    def _changed(self) -> None:
        if self._path is not None and self._saving is None:
            self._saving = asyncio.get_running_loop().call_later(SAVE_AFTER_S, self.save)

    def save(self) -> None:
        """Write it now; whoever reads sees the old file or the new one, whole."""
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None
        if self._path is None:
            return
        part = self._path.with_name(self._path.name + ".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(self._kept)))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)
