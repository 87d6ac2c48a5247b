"""Images come in whole or not at all, lie under their digest, and leave only when nobody needs them."""

import asyncio
import base64
import logging
import resource
import stat
from hashlib import md5, sha256

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware import images
from firmware.catalogue import Catalogue
from firmware.facts import Facts, checked
from firmware.signing import Signing, canonical, message_of
from gateway.core.errors import (
    Conflict,
    Forbidden,
    Full,
    Invalid,
    NotFound,
    TooLarge,
    TooMany,
    Unavailable,
)
from gateway.core.events import Alert
from gateway.core.types import ModuleType, Types, builtin
from gateway.storage.models_firmware import ImageRow, JobRow, MemberRow, RolloutRow
from tests.firmware import esp_images
from tests.gateway.core.heart import ADMIN, OWNER, TECHNICIAN, approved, heard, open_heart, raises

pytestmark = pytest.mark.anyio
DATA = b"an image" * 1000
DIGEST = sha256(DATA).hexdigest()


class Shelf:
    """A catalogue over a real core, opened as often as a test likes."""

    def __init__(self, core, folder):
        self.core, self.folder = core, folder
        self.alerts = heard(core, Alert)

    async def open(self):
        core = self.core
        self.signing = Signing(core.store, core.hub, self.folder)
        await self.signing.load()
        self.catalogue = Catalogue(core.store, core.hub, core.registry, core.types, self.folder, self.signing)
        await self.catalogue.load()

    async def reopen(self):
        await self.catalogue.close()
        await self.open()

    async def add(self, data=DATA, serial="app-1", version="1.0", type=7, by=TECHNICIAN, **more):
        async with self.catalogue.receiving() as upload:
            for place in range(0, len(data), 65536):
                await upload.write(data[place : place + 65536])
            return await self.catalogue.add(upload, Facts(serial, version, type, **more), by)

    def files(self):
        return sorted(path.name for path in self.folder.iterdir() if path.name != "firmware.key")

    def rows(self):
        return self.core.store.run(lambda: [row.serial for row in ImageRow.select().order_by(ImageRow.id)])

    async def audited(self):
        rows = [row for row in await self.core.audit.rows() if row["action"].startswith("firmware.")]
        return [(row["action"], row["subject"], row["who"]) for row in rows]

    async def settled(self):
        for _ in range(1000):
            if all(self.catalogue.ready(image) or self.catalogue.damaged(image) for image in self.images()):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the files were never checked")

    def images(self):
        return self.catalogue.all()


@pytest.fixture
async def shelf(tmp_path):
    async with open_heart(tmp_path / "data") as core:
        shelf = Shelf(core, tmp_path / "firmware")
        await shelf.open()
        yield shelf
        await shelf.catalogue.close()


# In


async def test_an_image_comes_in(shelf):
    data = esp_images.esp32()
    image = await shelf.add(data, notes="A\r\nB", hardware=("ESP32-S3", " board "), min_version="0.9")
    assert (image.id, image.digest, image.md5) == (1, sha256(data).hexdigest(), md5(data).hexdigest())
    assert (image.size, image.by, image.signed_by) == (len(data), "tom", "gateway")
    assert (image.header.kind, image.header.chip) == ("esp32", "esp32-s3")
    assert (image.hardware, image.notes) == (("board", "esp32-s3"), "A\nB")
    path = shelf.catalogue.path(image)
    assert path.read_bytes() == data and path.name == image.digest
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    assert shelf.catalogue.get(1) is image and shelf.catalogue.by_serial("APP-1") is image
    assert shelf.signing.who_signed(message_of(image), image.signature) == "gateway"
    assert await shelf.audited() == [("firmware.add", "app-1", "tom")]
    await shelf.reopen()
    assert shelf.images() == [image]


async def test_the_newest_is_first(shelf):
    for number in range(3):
        await shelf.add(b"%d" % number, serial=f"app-{number}")
    await shelf.reopen()
    assert [image.serial for image in shelf.images()] == ["app-2", "app-1", "app-0"]


async def test_nothing_stays_of_what_was_not_added(shelf):
    async with shelf.catalogue.receiving() as upload:
        await upload.write(bytes(1_000_000))
        assert len(shelf.files()) == 1 and shelf.files()[0].endswith(".part")
    assert shelf.files() == []
    with pytest.raises(asyncio.CancelledError):
        async with shelf.catalogue.receiving() as upload:
            await upload.write(bytes(1_000_000))
            raise asyncio.CancelledError
    assert shelf.files() == []


async def test_leftovers_of_an_earlier_life_go(shelf):
    (shelf.folder / "0123.part").write_bytes(b"cut off")
    (shelf.folder / "notes.txt").write_bytes(b"somebody's")
    await shelf.reopen()
    assert shelf.files() == ["notes.txt"]


async def test_an_empty_file(shelf):
    async with raises(Invalid):
        await shelf.add(b"")
    assert shelf.files() == await shelf.rows() == []


async def test_the_largest_and_one_byte_more(shelf):
    whole = bytes(images.MAX_BYTES)
    assert (await shelf.add(whole)).size == 64 * 1024 * 1024
    async with raises(TooLarge):
        await shelf.add(whole + b"x", serial="app-2")
    assert shelf.files() == [sha256(whole).hexdigest()]


async def test_an_upload_that_grew_too_large_is_over(shelf):
    async with shelf.catalogue.receiving() as upload:
        async with raises(TooLarge):
            await upload.write(bytes(images.MAX_BYTES + 1))
        async with raises(Invalid):
            await upload.write(b"x")
        async with raises(Invalid):
            await shelf.catalogue.add(upload, Facts("app-1", "1", 7), ADMIN)
    assert shelf.files() == []


async def test_an_upload_is_added_once(shelf):
    async with shelf.catalogue.receiving() as upload:
        await upload.write(DATA)
        await shelf.catalogue.add(upload, Facts("app-1", "1", 7), ADMIN)
        async with raises(Invalid):
            await shelf.catalogue.add(upload, Facts("app-2", "1", 7), ADMIN)
    assert await shelf.rows() == ["app-1"] and shelf.files() == [DIGEST]


async def test_a_broken_image_leaves_nothing(shelf):
    async with raises(Invalid):
        await shelf.add(esp_images.esp32()[:-1])
    assert shelf.files() == await shelf.rows() == await shelf.audited() == []


async def test_few_uploads_at_once(shelf):
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        done, started = asyncio.Event(), asyncio.Barrier(5)

        async def one():
            async with shelf.catalogue.receiving() as upload:
                await upload.write(b"x" * 300_000)
                await started.wait()
                await done.wait()

        tasks = [group.create_task(one()) for _ in range(4)]
        await started.wait()
        assert len(shelf.files()) == 4
        async with raises(TooMany):
            await shelf.add()
        done.set()
        await asyncio.wait(tasks)
        await shelf.add()
    assert shelf.files() == [DIGEST]


# A full disk


@pytest.fixture
def small_disk():
    """The system takes no more than a megabyte into one file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk(shelf, small_disk, caplog):
    caplog.set_level(logging.CRITICAL)
    kept = await shelf.add()
    with pytest.raises(Unavailable, match="Storage full"):
        await shelf.add(bytes(3_000_000), serial="app-2")
    assert shelf.files() == [kept.digest] and await shelf.rows() == ["app-1"]
    assert shelf.catalogue.path(kept).read_bytes() == DATA
    assert (await shelf.add(b"small", serial="app-2")).size == 5


async def test_a_database_that_takes_nothing_leaves_no_file(shelf, monkeypatch):
    async def full(work):
        raise Unavailable("Storage cannot take this now.")

    monkeypatch.setattr(shelf.core.store, "run", full)
    async with raises(Unavailable):
        await shelf.add()
    assert shelf.files() == [] and shelf.images() == []
    monkeypatch.undo()
    await shelf.add()


async def test_whoever_asked_may_go_away_in_the_middle(shelf, monkeypatch):
    """The row commits although nobody waits for it any more; the file must be there then."""
    run, entered, let_go = shelf.core.store.run, asyncio.Event(), asyncio.Event()

    async def slow(work):
        entered.set()
        await let_go.wait()
        return await run(work)

    monkeypatch.setattr(shelf.core.store, "run", slow)
    task = asyncio.create_task(shelf.add())
    await entered.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled() and shelf.images() == []
    let_go.set()
    monkeypatch.undo()
    await shelf.reopen()
    assert [image.serial for image in shelf.images()] == ["app-1"] and shelf.files() == [DIGEST]
    assert not shelf.alerts


# What is said of it

FACTS = Facts("app-1", "1.0", 7)


async def test_facts_that_fit_come_in_one_spelling():
    assert checked(FACTS, Types(builtin())) == FACTS


@pytest.mark.parametrize("what", ["serial", "version", "min_version"])
@pytest.mark.parametrize(
    "text", ["a b", "a\n", "a\r", "\n", "../x", "a/b", "-a", ".a", "é", "a" * 65, "a\0", "<b>", "a\x1b[31m"]
)
async def test_names_are_plain(what, text):
    with pytest.raises(Invalid):
        checked(msgspec.structs.replace(FACTS, **{what: text}), Types(builtin()))


@pytest.mark.parametrize(
    "facts",
    [{"serial": ""}, {"version": ""}, {"type": 99}, {"type": -1}, {"type": True}, {"hardware": ("a b",)},
     {"hardware": ("é",)}, {"hardware": ("a\nb",)}, {"hardware": ("a,b",)}, {"hardware": ("x" * 33,)},
     {"hardware": tuple(f"h{number}" for number in range(17))}, {"notes": "x" * 4001}, {"notes": "\0"},
     {"signature": "x" * 201}],
)  # fmt: skip
async def test_facts_that_do_not_fit(facts):
    with pytest.raises(Invalid):
        checked(msgspec.structs.replace(FACTS, **facts), Types(builtin()))


async def test_facts_that_do_not_fit_leave_nothing(shelf):
    async with raises(Invalid):
        await shelf.add(serial="../../evil\n")
    assert shelf.files() == await shelf.rows() == []


async def test_the_longest_that_fits(shelf):
    image = await shelf.add(
        serial="a" * 64, version="1" * 64, min_version="0+-._a", notes="é" * 4000,
        hardware=tuple(f"{number:032}" for number in range(16)),
    )  # fmt: skip
    await shelf.reopen()
    assert shelf.images() == [image]


async def test_only_those_who_manage(shelf):
    async with raises(Forbidden):
        await shelf.add(by=OWNER)
    image = await shelf.add()
    async with raises(Forbidden):
        await shelf.catalogue.remove(image.id, OWNER)
    assert shelf.images() == [image]


# One serial, one file


@pytest.mark.parametrize("serial", ["app-1", "APP-1"])
async def test_a_serial_is_there_once(shelf, serial):
    await shelf.add()
    with pytest.raises(Conflict, match="'app-1'"):
        await shelf.add(b"another", serial=serial)
    assert shelf.files() == [DIGEST]


async def test_the_same_file_for_the_same_type(shelf):
    await shelf.add()
    with pytest.raises(Conflict, match="'app-1'"):
        await shelf.add(serial="app-2", version="2.0")
    assert shelf.files() == [DIGEST] and await shelf.rows() == ["app-1"]


async def test_two_who_upload_the_same_at_once(shelf):
    results = await asyncio.gather(*(shelf.add(serial=f"app-{n}") for n in (1, 2)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "Image"]
    assert shelf.files() == [DIGEST] and len(await shelf.rows()) == 1


async def test_one_file_for_two_types(shelf):
    first, second = await shelf.add(), await shelf.add(serial="app-2", type=1)
    assert first.signature != second.signature
    assert shelf.files() == [DIGEST]
    await shelf.catalogue.remove(first.id, ADMIN)
    assert shelf.catalogue.path(second).read_bytes() == DATA
    await shelf.catalogue.remove(second.id, ADMIN)
    assert shelf.files() == []


async def test_the_catalogue_is_bounded(shelf, monkeypatch):
    monkeypatch.setattr("firmware.catalogue.MAX_IMAGES", 1)
    await shelf.add()
    async with raises(Full):
        await shelf.add(b"more", serial="app-2")
    assert shelf.files() == [DIGEST]


# Signatures

VENDOR = Ed25519PrivateKey.generate()


def signature(type=7, version="1.0", hardware=(), key=VENDOR):
    return base64.b64encode(key.sign(canonical(DIGEST, type, version, hardware))).decode()


async def trust(shelf):
    public = base64.b64encode(VENDOR.public_key().public_bytes_raw()).decode()
    await shelf.signing.add_key("acme", public, ADMIN)


async def test_a_vendors_signature_is_kept(shelf):
    await trust(shelf)
    given = signature()
    image = await shelf.add(signature=f" {given[:40]}\n{given[40:]} ")
    assert (image.signature, image.signed_by) == (given, "acme")


@pytest.mark.parametrize(
    "wrong", [{"type": 1}, {"version": "1.1"}, {"hardware": ("x",)}, {"key": Ed25519PrivateKey.generate()}]
)
async def test_a_signature_over_something_else(shelf, wrong):
    await trust(shelf)
    with pytest.raises(Invalid, match="No key"):
        await shelf.add(signature=signature(**wrong))
    assert shelf.files() == []


async def test_a_signature_of_a_vendor_who_is_not_trusted(shelf):
    with pytest.raises(Invalid, match="No key"):
        await shelf.add(signature=signature())


async def test_where_a_vendor_must_sign_the_gateway_does_not(shelf):
    await trust(shelf)
    await shelf.signing.set_policy(True, ADMIN)
    own = shelf.signing.sign(canonical(DIGEST, 7, "1.0", ()))
    for given in ("", own):
        with pytest.raises(Invalid, match="vendor"):
            await shelf.add(signature=given)
    assert (await shelf.add(signature=signature())).signed_by == "acme"


async def test_images_that_an_earlier_key_signed_are_said(shelf):
    image = await shelf.add()
    await trust(shelf)
    other = await shelf.add(serial="app-2", type=1, signature=signature(type=1))
    (shelf.folder / "firmware.key").unlink()
    await shelf.signing.remove_key("acme", ADMIN)
    await shelf.reopen()
    assert shelf.signing.vouches(image) is shelf.signing.vouches(other) is None
    assert [alert.details["serials"] for alert in shelf.alerts] == [["app-1"]]


# Out


async def test_removing(shelf):
    image = await shelf.add()
    await shelf.catalogue.remove(image.id, ADMIN)
    assert shelf.files() == await shelf.rows() == shelf.images() == []
    assert shelf.catalogue.by_serial("app-1") is None
    assert await shelf.audited() == [("firmware.remove", "app-1", "ann"), ("firmware.add", "app-1", "tom")]
    for act in (shelf.catalogue.remove(image.id, ADMIN), asyncio.to_thread(shelf.catalogue.get, image.id)):
        async with raises(NotFound):
            await act
    assert (await shelf.add()).id == image.id + 1


async def test_an_image_that_modules_have_or_are_to_have_stays(shelf):
    image = await shelf.add()
    modules = [(await approved(shelf.core, f"MC-{n}"))[0] for n in range(5)]
    for name, words in (("assigned_firmware", "assigned to MC-"), ("firmware", "run by MC-")):
        for module in modules:
            module = shelf.core.registry.get(module.id)
            await shelf.core.registry.change(module, ADMIN, "x", **{name: "App-1"})
        with pytest.raises(Conflict, match=f"{words}.*and 2 more"):
            await shelf.catalogue.remove(image.id, ADMIN)
        for module in modules:
            module = shelf.core.registry.get(module.id)
            await shelf.core.registry.change(module, ADMIN, "x", **{name: ""})
    await shelf.catalogue.remove(image.id, ADMIN)


def job(image, state):
    JobRow.insert(
        id="j1", module_number=1, image_id=image.id, state=state, size=1, due_ms=0, since_ms=0,
        created_at_ms=0, by="tom",
    ).execute()  # fmt: skip


def rollout(image, state, previous=""):
    RolloutRow.insert(
        id=1, name="spring", image_id=image.id if not previous else 999, plan="{}", state=state,
        wave_since_ms=0, created_at_ms=0, by="tom",
    ).execute()  # fmt: skip
    MemberRow.insert(rollout_id=1, module_number=1, wave=0, state="waiting", previous=previous).execute()


@pytest.mark.parametrize(
    ("need", "words"),
    [
        (lambda image: job(image, "assigned"), "job j1"),
        (lambda image: job(image, "installing"), "job j1"),
        (lambda image: rollout(image, "running"), "'spring' is not over"),
        (lambda image: rollout(image, "stopped"), "'spring' is not over"),
        (lambda image: rollout(image, "running", previous="App-1"), "'spring' may have to go back"),
        (lambda image: job(image, "confirmed"), ""),
        (lambda image: rollout(image, "done"), ""),
        (lambda image: rollout(image, "done", previous="app-1"), ""),
    ],
)
async def test_an_image_that_updates_and_rollouts_need_stays(shelf, need, words):
    image = await shelf.add()
    await shelf.core.store.run(lambda: need(image))
    if words:
        with pytest.raises(Conflict, match=words):
            await shelf.catalogue.remove(image.id, ADMIN)
        assert shelf.catalogue.get(image.id) is image and shelf.files() == [DIGEST]
    else:
        await shelf.catalogue.remove(image.id, ADMIN)


# What happened to a file


def cut(path):
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def lose(path):
    path.unlink()


DAMAGES = [(cut, "7999 bytes instead of 8000"), (flip, "does not hold"), (lose, "missing"), (link, "missing")]


@pytest.mark.parametrize(("damage", "words"), DAMAGES)
async def test_a_damaged_file_is_said_and_mended_by_the_same_upload(shelf, damage, words, caplog):
    hurt, well = await shelf.add(), await shelf.add(b"well", serial="app-2")
    damage(shelf.catalogue.path(hurt))
    await shelf.reopen()
    await shelf.settled()
    assert shelf.catalogue.damaged(hurt) and not shelf.catalogue.ready(hurt)
    assert shelf.catalogue.ready(well) and not shelf.catalogue.damaged(well)
    (alert,) = shelf.alerts
    assert alert.level == "error" and "app-1" in alert.message and words in alert.message
    assert words in caplog.text
    with pytest.raises(Conflict, match="whole again"):
        await shelf.add(serial="app-9")
    assert shelf.catalogue.ready(hurt) and shelf.catalogue.path(hurt).read_bytes() == DATA
    assert ("firmware.mend", "app-1", "gateway") in await shelf.audited()
    await shelf.reopen()
    await shelf.settled()
    assert shelf.catalogue.ready(hurt) and len(shelf.alerts) == 1


async def test_a_file_that_somebody_doubts_is_read_again(shelf):
    hurt, well = await shelf.add(), await shelf.add(b"well", serial="app-2")
    flip(shelf.catalogue.path(hurt))
    assert shelf.catalogue.ready(hurt)
    for image in (hurt, well, hurt):
        shelf.catalogue.doubt(image)
        assert not shelf.catalogue.ready(image)
    await shelf.settled()
    assert shelf.catalogue.damaged(hurt) and shelf.catalogue.ready(well)
    assert [alert.details["serials"] for alert in shelf.alerts] == [["app-1"]]


async def test_a_damaged_image_can_be_removed(shelf):
    image = await shelf.add()
    flip(shelf.catalogue.path(image))
    await shelf.reopen()
    await shelf.settled()
    await shelf.catalogue.remove(image.id, ADMIN)
    assert shelf.files() == []
    assert shelf.catalogue.ready(await shelf.add())


async def test_a_file_that_no_row_knows_is_not_trusted(shelf):
    """Left by a crash between the file and its row, or put there: the upload's own bytes take its place."""
    (shelf.folder / DIGEST).write_bytes(b"something else")
    image = await shelf.add()
    assert shelf.catalogue.path(image).read_bytes() == DATA


async def test_an_own_type_that_is_gone_again_hurts_no_image(shelf):
    shelf.core.types.add(ModuleType(code=150, name="own"))
    image = await shelf.add(type=150)
    shelf.core.types.remove(150)
    await shelf.reopen()
    assert shelf.images() == [image]


async def test_the_loop_is_not_held_up(shelf):
    """64 MB in and hashed while something else beats every few milliseconds."""
    worst, running = 0.0, True

    async def beat():
        nonlocal worst
        loop = asyncio.get_running_loop()
        while running:
            before = loop.time()
            await asyncio.sleep(0.001)
            worst = max(worst, loop.time() - before)

    task = asyncio.create_task(beat())
    piece = bytes(65536)
    async with shelf.catalogue.receiving() as upload:
        for _ in range(1024):
            await upload.write(piece)
        await shelf.catalogue.add(upload, Facts("big", "1", 7), ADMIN)
    running = False
    await task
    # What blocks the loop for the whole of it would take far longer, on any machine.
    assert worst < 1.0
