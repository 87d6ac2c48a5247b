"""A backup made beside everything else, and put back: all of it, or nothing is touched."""

import asyncio
import io
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from firmware.facts import Facts
from firmware.house import open_firmware
from gateway.backup import sealing
from gateway.backup.making import BackupMaker
from gateway.backup.restoring import restore
from gateway.backup.sealing import Opened, sealed
from gateway.control import UNDER_WAY, lock, perform
from gateway.core.backups import last_backup
from gateway.core.core import open_core
from gateway.core.errors import Conflict, Invalid, Unavailable
from gateway.core.rights import ModuleIdentity, Role
from gateway.settings import Settings
from tests.firmware.fleet import Lives
from tests.gateway.core.heart import ADMIN, PASSWORD, Clock, approved, open_heart

pytestmark = pytest.mark.anyio
PASSPHRASE = "correct horse battery staple"
KEY = "k" * 40


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_LOG_N", 4)


def at(folder: Path) -> Settings:
    return Settings(data=folder, secret_key=KEY)


async def made(folder: Path, file: Path) -> str:
    """A house with a person, a module and an image, and its backup; returns the module's token."""
    async with open_heart(folder) as core, open_firmware(core) as firmware:
        await core.accounts.people.add("ann", PASSWORD, Role.ADMIN, "test")
        await core.accounts.sessions.open(core.accounts.people.get(1).person, "browser", "192.0.2.1")
        module, token = await approved(core, "MC-1")
        core.telemetry.report(module, {"temperature": 21.5})
        async with firmware.images.receiving() as upload:
            await upload.write(b"an image" * 1000)
            await firmware.images.add(upload, Facts(serial="fw-1", type=7, version="1"), "test")
        await BackupMaker(core).to_file(file, PASSPHRASE, ADMIN)
    return token


def listed(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


async def test_everything_is_there_again_on_a_new_host(tmp_path: Path) -> None:
    file, new = tmp_path / "house.backup", tmp_path / "new"
    token = await made(tmp_path / "old", file)
    assert file.stat().st_mode & 0o777 == 0o600
    restored = await restore(at(new), file, PASSPHRASE)
    assert (restored.kept, restored.audit_fault) == ("", "")
    async with open_heart(new) as core, open_firmware(core) as firmware:
        assert core.registry.authenticate("MC-1", token) == ModuleIdentity("MC-1", True)
        assert core.telemetry.latest("MC-1")["temperature"] == 21.5
        (image,) = firmware.images.all()
        assert firmware.images.path(image).read_bytes() == b"an image" * 1000
        assert (await core.audit.verify()).whole
        await core.accounts.log_in("ann", PASSWORD, "local")
        actions = [row["action"] for row in await core.audit.rows(limit=10)]
        assert "gateway.restore" in actions


async def test_whoever_was_logged_in_logs_in_again(tmp_path: Path) -> None:
    await made(tmp_path / "old", tmp_path / "b")
    await restore(at(tmp_path / "new"), tmp_path / "b", PASSPHRASE)
    async with open_heart(tmp_path / "new") as core:
        assert core.accounts.sessions.of(1) == []


async def test_keys_come_along_even_from_the_environment(tmp_path: Path) -> None:
    await made(tmp_path / "old", tmp_path / "b")
    await restore(Settings(data=tmp_path / "new"), tmp_path / "b", PASSPHRASE)
    assert Settings(data=tmp_path / "new").signing_key() == KEY
    old, new = tmp_path / "old" / "firmware", tmp_path / "new" / "firmware"
    assert (new / "firmware.key").read_bytes() == (old / "firmware.key").read_bytes()


@pytest.mark.parametrize("what", ["wrong passphrase", "cut off", "altered", "no backup", "nothing there"])
async def test_a_bad_file_is_refused_before_anything_is_touched(tmp_path: Path, what: str) -> None:
    file, folder = tmp_path / "b", tmp_path / "old"
    await made(folder, file)
    data = file.read_bytes()
    spoiled = {
        "cut off": data[: len(data) // 2],
        "altered": data[:-300] + bytes([data[-300] ^ 1]) + data[-299:],
        "no backup": b"x" * 1000,
    }
    (tmp_path / "bad").write_bytes(spoiled.get(what, data))
    if what == "nothing there":
        (tmp_path / "bad").unlink()
    before = {name: (folder / name).read_bytes() for name in listed(folder)}
    passphrase = "another passphrase" if what == "wrong passphrase" else PASSPHRASE
    with pytest.raises((Invalid, Unavailable)):
        await restore(at(folder), tmp_path / "bad", passphrase, force=True)
    assert {name: (folder / name).read_bytes() for name in listed(folder) - {"lock"}} == before


async def test_what_is_there_stays_or_is_put_aside(tmp_path: Path) -> None:
    await made(tmp_path / "old", tmp_path / "b")
    async with open_heart(tmp_path / "new") as core:
        await approved(core, "OTHER-1")
    with pytest.raises(Conflict, match="--force"):
        await restore(at(tmp_path / "new"), tmp_path / "b", PASSPHRASE)
    restored = await restore(at(tmp_path / "new"), tmp_path / "b", PASSPHRASE, force=True)
    async with open_heart(tmp_path / "new") as core:
        assert [module.id for module in core.registry.all()] == ["MC-1"]
    async with open_heart(Path(restored.kept)) as core:
        assert [module.id for module in core.registry.all()] == ["OTHER-1"]


async def test_no_gateway_may_run_on_it_nor_start_on_half_of_it(tmp_path: Path) -> None:
    await made(tmp_path / "old", tmp_path / "b")
    with lock(at(tmp_path / "new")), pytest.raises(Invalid, match="right now"):
        await restore(at(tmp_path / "new"), tmp_path / "b", PASSPHRASE)
    (tmp_path / "new" / UNDER_WAY).touch()
    with pytest.raises(Invalid, match="cut short"):
        await perform(at(tmp_path / "new"), "audit.verify")
    await restore(at(tmp_path / "new"), tmp_path / "b", PASSPHRASE, force=True)
    assert (await perform(at(tmp_path / "new"), "audit.verify"))["whole"]


async def test_cut_short_while_it_takes_its_place_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made(tmp_path / "old", tmp_path / "b")
    async with open_heart(tmp_path / "new") as core:
        await approved(core, "OTHER-1")
    move, moved = shutil.move, []

    def fails_in_the_middle(source: Path, target: Path) -> None:
        moved.append(source)
        if len(moved) > 3:
            raise OSError(28, "No space left on device", str(source))
        move(source, target)

    with monkeypatch.context() as broken, pytest.raises(Unavailable, match="No space left"):
        broken.setattr(shutil, "move", fails_in_the_middle)
        await restore(at(tmp_path / "new"), tmp_path / "b", PASSPHRASE, force=True)
    with pytest.raises(Invalid, match="cut short"):
        lock(at(tmp_path / "new"))
    await restore(at(tmp_path / "new"), tmp_path / "b", PASSPHRASE, force=True)
    async with open_heart(tmp_path / "new") as core:
        assert [module.id for module in core.registry.all()] == ["MC-1"]


async def test_a_database_of_another_folder_goes_there(tmp_path: Path) -> None:
    await made(tmp_path / "old", tmp_path / "b")
    place = {"secret_key": KEY, "database_url": f"sqlite:///{tmp_path / 'disk' / 'house.db'}"}
    new = Settings(data=tmp_path / "new", **place)
    await restore(new, tmp_path / "b", PASSPHRASE)
    assert (tmp_path / "disk" / "house.db").is_file()
    assert "passerelle.db" not in listed(tmp_path / "new")
    async with open_core(new) as core:
        assert [module.id for module in core.registry.all()] == ["MC-1"]
        await BackupMaker(core).to_file(tmp_path / "again", PASSPHRASE, ADMIN)
    with pytest.raises(Conflict, match=r"house\.db|audit|secret"):
        await restore(new, tmp_path / "again", PASSPHRASE)
    restored = await restore(new, tmp_path / "again", PASSPHRASE, force=True)
    assert "house.db" in listed(Path(restored.kept))


def repacked(file: Path, change: str) -> bytes:
    """The same backup, by somebody who knows the passphrase and means no good."""
    with file.open("rb") as sealed_file:
        opened = Opened(sealed_file, PASSPHRASE)
        plain = b"".join(iter(lambda: opened.read(100_000), b""))
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(plain)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old:
            content = old.extractfile(member).read()
            if change == "an image" and member.name.startswith("firmware/") and len(member.name) > 60:
                content = content[:-1] + b"?"
            if change == "a path" and member.name == "secret.key":
                member.name = "../secret.key"
            if change == "a link" and member.name == "secret.key":
                member.type, member.linkname, member.size, content = tarfile.SYMTYPE, "/etc/passwd", 0, b""
            if change == "no manifest" and member.name == "manifest.json":
                continue
            if change == "a newer version" and member.name == "manifest.json":
                content = content.replace(b'"0001_first"', b'"9001_later"')
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return b"".join(sealed([out.getvalue()], PASSPHRASE))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("an image", "not what its manifest says"), ("a path", "holds what it should not"),
        ("a link", "holds what it should not"), ("no manifest", "not what its manifest says"),
        ("a newer version", "newer version"),
    ],
)  # fmt: skip
async def test_what_does_not_fit_itself_is_refused(tmp_path: Path, change: str, words: str) -> None:
    await made(tmp_path / "old", tmp_path / "b")
    (tmp_path / "bad").write_bytes(repacked(tmp_path / "b", change))
    with pytest.raises(Invalid, match=words):
        await restore(at(tmp_path / "new"), tmp_path / "bad", PASSPHRASE)
    assert listed(tmp_path / "new") <= {"lock"}
    assert not (tmp_path / "secret.key").exists()


async def test_it_is_of_one_moment_while_readings_go_on(tmp_path: Path) -> None:
    async with open_heart(tmp_path / "old", rate_limits=False) as core, open_firmware(core):
        module, _ = await approved(core, "MC-1")
        for number in range(8_000):
            core.telemetry.report(module, {"temperature": float(number)})
        going = True

        async def go_on() -> int:
            count = 0
            while going:
                core.telemetry.report(module, {"temperature": 1.0})
                await core.store.run(lambda: None)
                count += 1
            return count

        readings = asyncio.create_task(go_on())
        await BackupMaker(core).to_file(tmp_path / "b", PASSPHRASE, ADMIN)
        going = False
        assert await readings > 0
        assert (await last_backup(core.store)).by == "ann"
    await restore(at(tmp_path / "new"), tmp_path / "b", PASSPHRASE)
    with closing(sqlite3.connect(tmp_path / "new" / "passerelle.db")) as database:
        assert database.execute("SELECT count(*) FROM reading").fetchone()[0] >= 8_000


async def test_a_missing_image_and_a_file_that_is_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"mine")
    async with open_heart(tmp_path / "old") as core, open_firmware(core):
        with pytest.raises(Invalid, match="is there already"):
            await BackupMaker(core).to_file(tmp_path / "b", PASSPHRASE, ADMIN)
        with pytest.raises(Unavailable, match="cannot be"):
            await BackupMaker(core).to_file(tmp_path / "no" / "such" / "b", PASSPHRASE, ADMIN)
        with pytest.raises(Invalid, match="10 to 256"):
            await BackupMaker(core).to_file(tmp_path / "c", "short", ADMIN)
    assert (tmp_path / "b").read_bytes() == b"mine"
    assert not [name for name in listed(tmp_path) if name.endswith(".part")]


async def test_a_finished_rollout_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Lives(tmp_path, Clock(monkeypatch), count=2) as lives:
        fleet = lives.fleet
        rollout = await fleet.create()
        for module in fleet.modules:
            await fleet.updates(module)
        assert fleet.state(rollout) == "done"
        image = fleet.new
        jobs = [fleet.job(place).id for place in range(2)]
        await BackupMaker(fleet.floor.core).to_file(tmp_path / "b", PASSPHRASE, ADMIN)
        await lives._stack.aclose()
        await restore(at(tmp_path / "1"), tmp_path / "b", PASSPHRASE)
        lives.lives = 1
        await lives._open()
        for module in fleet.modules:
            again = lives.floor.core.registry.get(module.id)
            lives.floor.connects(again)
            await lives.floor.hello(again, image)
        rollouts = lives.floor.firmware.rollouts
        for _ in range(5):
            await rollouts.settled()
            lives.floor.passes(60)
            await lives.floor.firmware.reconcile.look()
        assert rollouts.get(rollout.id).state == "done"
        assert lives.floor.boards.offers == {}
        assert [lives.floor.job(module).id for module in fleet.modules] == jobs
