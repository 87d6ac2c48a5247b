"""A backup back into a data folder: all of it is unpacked and checked beside before anything is touched."""

import os
import shutil
import tarfile
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from gateway.backup.archive import (
    DATABASE,
    IMAGE,
    MANIFEST,
    MOST_FILES,
    PIECE,
    Entry,
    Manifest,
    decoded,
    usable_name,
)
from gateway.backup.sealing import Opened
from gateway.backup.snapshot import digests_in, fault_in
from gateway.control import BY, UNDER_WAY, lock
from gateway.core import audit
from gateway.core.core import open_core
from gateway.core.errors import Conflict, Invalid, Unavailable
from gateway.settings import Settings
from gateway.storage.models import SessionRow

UNPACKED, KEPT = ".restoring", "before-restore-"
# What belongs to the folder and not to the gateway that lives in it.
STAYS = frozenset({"lock", "control.sock", UNPACKED, UNDER_WAY})
MAX_MANIFEST = 16 * 1024 * 1024


class Restored(msgspec.Struct, frozen=True):
    """What was put back. `kept`: where what was there before lies; `audit_fault`: empty when it is whole."""

    made_at_ms: int
    version: str
    files: int
    kept: str
    audit_fault: str


async def restore(settings: Settings, file: Path, passphrase: str, *, force: bool = False) -> Restored:
    """Put a backup into the data folder; no gateway may run on it.

    Raises `Conflict` when there is something already (unless `force`, which keeps a copy of it), and
    `Invalid` for a backup that is not whole; then nothing was changed.
    """
    with lock(settings, cut_short=force):
        if not force and (there := _there(settings)):
            raise Conflict(
                "There is %(name)s in %(data)s already. --force puts it aside and restores.",
                name=there[0].name, data=settings.data,
            )  # fmt: skip
        unpacked = settings.data / UNPACKED
        try:
            _remove(unpacked)
            manifest = _unpack(file, passphrase, unpacked)
            _check(unpacked, manifest)
            fault = await _opened(settings, unpacked, manifest)
            kept = _swap(settings, unpacked)
        except OSError as error:
            raise Unavailable(
                "%(path)s cannot be read or written: %(reason)s.",
                path=error.filename or file, reason=error.strerror or error,
            ) from None  # fmt: skip
        finally:
            _remove(unpacked)
    return Restored(manifest.made_at_ms, manifest.version, len(manifest.files), kept, fault)


def _remove(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _there(settings: Settings) -> list[Path]:
    """What lies where the backup goes."""
    database = settings.database_path
    inside = [path for path in settings.data.iterdir() if path.name not in STAYS]
    beside = [path for path in database.parent.glob(database.name + "*") if path not in inside]
    return [path for path in inside if not path.name.startswith(KEPT)] + beside


def _unpack(file: Path, passphrase: str, folder: Path) -> Manifest:
    """Every file under its name, with the digests that the manifest says."""
    folder.mkdir(mode=0o700)
    files: dict[str, Entry] = {}
    manifest = None
    with file.open("rb") as sealed:
        opened = Opened(sealed, passphrase)
        try:
            with tarfile.open(fileobj=opened, mode="r|") as archive:
                for member in archive:
                    if manifest is not None or len(files) >= MOST_FILES or member.name in files:
                        raise Invalid("The backup holds what it should not.")
                    if member.name == MANIFEST:
                        manifest = decoded(_text(archive, member))
                    else:
                        files[member.name] = _file(archive, member, folder)
        except tarfile.TarError as error:
            raise Invalid("The backup cannot be unpacked: %(error)s.", error=error) from None
        opened.finish()
    if manifest is None or manifest.files != files:
        raise Invalid("The backup is not what its manifest says.")
    return manifest


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    held = archive.extractfile(member)
    if held is None or member.size > MAX_MANIFEST:
        raise Invalid("The manifest of the backup cannot be read.")
    return held.read()


def _file(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> Entry:
    held = archive.extractfile(member) if member.isreg() else None
    if held is None or not usable_name(member.name):
        raise Invalid("The backup holds what it should not.")
    path = folder / member.name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    digest = sha256()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while piece := held.read(PIECE):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return Entry(member.size, digest.hexdigest())


def _check(folder: Path, manifest: Manifest) -> None:
    """The database is sound, and each of its images is there and what its name says."""
    if fault := fault_in(folder / DATABASE):
        raise Invalid("The database in the backup is broken: %(fault)s.", fault=fault)
    images = {found[1]: entry for name, entry in manifest.files.items() if (found := IMAGE.fullmatch(name))}
    for digest in digests_in(folder / DATABASE):
        if digest not in images or images[digest].sha256 != digest:
            raise Invalid("The image %(digest)s is missing in the backup, or altered.", digest=digest)
        (folder / "firmware" / digest).chmod(0o400)


async def _opened(settings: Settings, folder: Path, manifest: Manifest) -> str:
    """Open it as a gateway does, its tables brought up to date. Whoever was logged in then is not now."""
    there: dict[str, Any] = {"data": folder, "database_url": "", "logstash_url": ""}
    async with open_core(settings.model_copy(update=there)) as core:
        verdict = await core.audit.verify()

        def end_sessions() -> None:
            SessionRow.delete().execute()
            audit.write("gateway.restore", "gateway", BY, made_at_ms=manifest.made_at_ms)

        await core.store.run(end_sessions)
    return verdict.fault


def _swap(settings: Settings, unpacked: Path) -> str:
    """What was there moves aside, what was unpacked takes its place. Cut short, no gateway starts on it."""
    marker = settings.data / UNDER_WAY
    marker.touch()
    kept = ""
    if there := _there(settings):
        aside = settings.data / f"{KEPT}{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
        aside.mkdir(mode=0o700)
        kept = str(aside)
        for path in there:
            shutil.move(path, aside / path.name)
    for path in sorted(unpacked.iterdir()):
        target = settings.database_path if path.name == DATABASE else settings.data / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
    os.sync()
    marker.unlink()
    return kept
