"""The download of a backup: only whole, only with a passphrase, said when it was made."""

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest

from firmware.house import open_firmware
from gateway.backup.making import COPY, BackupMaker
from gateway.backup.sealing import Opened
from gateway.core.core import open_core
from gateway.settings import Settings
from tests.web.house import House
from web.app import create_app
from web.site import Roof

pytestmark = pytest.mark.anyio
PAGE = "/admin/backup"
PASSPHRASE = "correct horse battery staple"
TYPED = {"passphrase": PASSPHRASE, "again": PASSPHRASE}


@pytest.fixture
async def house(anyio_backend: str, tmp_path: Path) -> AsyncIterator[House]:
    async with open_core(Settings(data=tmp_path)) as core, open_firmware(core) as firmware:
        yield House(core, create_app(core, firmware, roof=Roof(backups=BackupMaker(core))), firmware)


async def test_it_is_downloaded_and_its_time_is_shown(house: House) -> None:
    browser = await house.browser("admin")
    assert "never" in (await browser.page(PAGE)).text
    reply = await browser.send(PAGE, PAGE, **TYPED)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["cache-control"] == "no-store"
    assert ".backup" in reply.headers["content-disposition"]
    assert PASSPHRASE.encode() not in reply.content
    assert b"SQLite format" not in reply.content
    opened = Opened(BytesIO(reply.content), PASSPHRASE)
    assert len(opened.read(1000)) == 1000
    opened.finish()
    page = await browser.page(PAGE)
    assert "never" not in page.text
    rows = await house.core.audit.rows(limit=5)
    assert rows[0]["action"] == "gateway.backup"
    assert rows[0]["who"] == "admin"
    assert PASSPHRASE not in str(rows)
    assert not list(house.core.settings.data.glob(COPY.format("*")))


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"passphrase": "short", "again": "short"}, "10 to 256"),
        ({"passphrase": PASSPHRASE, "again": "another one, as long"}, "not the same"),
        ({"passphrase": "x" * 257, "again": "x" * 257}, "10 to 256"),
        ({"passphrase": "", "again": ""}, "10 to 256"),
    ],
)
async def test_a_bad_passphrase_is_refused_on_the_page(
    house: House, typed: dict[str, str], words: str
) -> None:
    browser = await house.browser("admin")
    page = await browser.refused(PAGE, PAGE, 400, **typed)
    assert words in page.notice
    assert "never" in page.text


async def test_one_at_a_time(house: House) -> None:
    maker = BackupMaker(house.core)
    app = create_app(house.core, house.firmware, roof=Roof(backups=maker))
    other = House(house.core, app, house.firmware, house.people)
    browser = await other.browser("admin")
    async with maker.streamed(PASSPHRASE, "test"):
        page = await browser.refused(PAGE, PAGE, 409, **TYPED)
        assert "being made already" in page.notice
    assert (await browser.send(PAGE, PAGE, **TYPED)).status_code == 200
