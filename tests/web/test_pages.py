"""What pages show, and how quickly."""

import re

import pytest

from gateway.core import clock
from tests.web.house import House
from web.pages import PAGES
from web.render import HERE

pytestmark = pytest.mark.anyio
EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>"
GETS = [page.path for page in PAGES if page.method == "GET"]
PLACES = [path.replace("{id}", "A-1") for path in GETS] + ["/api/docs", "/nowhere", "/modules/NOBODY"]


async def test_a_module_shows_its_values_history_and_a_table(house: House) -> None:
    module = await house.module("W-1", type=8)
    now_ms = clock.now_ms()
    for minutes in range(30):
        house.core.telemetry.report(module, {"temperature": 20 + minutes / 10}, now_ms - minutes * 60_000)
    browser = await house.browser("technician")
    page = await browser.page("/modules/W-1?key=temperature&range=1h")
    assert "Temperature 20 °C" in page.text
    rows = [at for tag, at in page.elements if tag == "tr"]
    assert len(rows) >= 30
    for strange in ("?key=nothing", "?range=forever", "?key=%00&range=%00"):
        assert "History" in (await browser.page(f"/modules/W-1{strange}")).text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=roof", {"W-1"}), ("?q=w-", {"W-1", "W-2"}), ("?status=online", {"W-1"}), ("?type=0", {"L-1"}),
        ("?q=garl&type=0", {"L-1"}), ("?status=nonsense", set()), ("?type=x", set()), ("?start=x", None),
    ],
)  # fmt: skip
async def test_the_list_is_filtered(house: House, query: str, found: set[str] | None) -> None:
    await house.module("W-1", type=8, information={"location": "Roof"})
    await house.module("W-2", type=8)
    await house.module("L-1", type=0, information={"name": "Garland"})
    house.core.presence.heard(house.core.registry.get("W-1"))
    page = await (await house.browser("technician")).page(f"/modules{query}")
    rows = {at["data-module"] for tag, at in page.elements if tag == "tr" and at.get("data-module")}
    assert rows == ({"W-1", "W-2", "L-1"} if found is None else found)


async def test_a_page_that_fails_says_so_and_shows_nothing_else(house: House, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("canary-detail")

    monkeypatch.setattr("web.pages.modules.listed", broken)
    reply = await (await house.browser("user")).http.get("/modules")
    assert reply.status_code == 500
    assert "Something went wrong" in reply.text
    assert "canary-detail" not in reply.text
    assert "default-src 'self'" in reply.headers["content-security-policy"]


def test_no_template_turns_escaping_off(anyio_backend: str) -> None:
    for path in (HERE / "templates").iterdir():
        assert not re.search(r"\|\s*safe|autoescape|Markup", path.read_text()), path.name


def test_scripts_never_make_markup_of_text(anyio_backend: str) -> None:
    for path in (HERE / "static").glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", path.read_text()
        )
