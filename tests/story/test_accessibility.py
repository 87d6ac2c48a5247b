"""No page keeps anybody out: WCAG 2.2 AA in both themes, on a desk, on a phone, and by keyboard."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.gateway_process import ADMIN, GatewayProcess, wait_until
from web.pages import PAGES

from .barriers import barriers
from .people import log_in

GAP = re.compile(r"\{[^}]+\}")
IMAGE = b"an image of some kind " * 2000
# Asked for without a log-in.
OUTSIDE = ["/login", "/sign-up", "/setup", "/nowhere", "/api/docs"]
# What is no page: files, parts of pages.
NO_PAGE = re.compile(r"\.(csv|json|html|pem|bin|zip)$|/export$|download")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("barriers"), "--demo", rate_limits=0) as running:
        with running.api() as api:
            furnish(api)
        yield running


def furnish(api: httpx.Client) -> None:
    """An image, somebody who waits, a claim code: what the demo itself has not."""
    facts = {"serial": "calm-1.0", "version": "1.0", "type": "7", "notes": "Quiet at night."}
    image = api.post("/firmware", data=facts, files={"file": ("x", IMAGE)}).raise_for_status().json()
    modules = api.get("/modules", params={"limit": 200}).json()["items"]
    one = next(module for module in modules if module["type"] == 7)
    plan = {"name": "Calm", "firmware_id": image["id"], "modules": [one["id"]]}
    api.post("/rollouts", json=plan).raise_for_status()


@pytest.fixture(scope="module")
def context(gateway: GatewayProcess, browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(base_url=gateway.url, reduced_motion="reduce") as opened:
        page = opened.new_page()
        log_in(page, ADMIN, gateway.password)
        page.close()
        yield opened


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    opened = context.new_page()
    yield opened
    opened.close()


def places(gateway: GatewayProcess) -> list[str]:
    """Every page that can be asked for, with something real in the gaps of its address."""
    with gateway.api() as api:
        module = api.get("/modules", params={"limit": 1}).json()["items"][0]["id"]
    found = []
    for path in dict.fromkeys(row.path for row in PAGES if row.method == "GET"):
        if not NO_PAGE.search(path):
            found.append(GAP.sub("1", path.replace("{id}", module).replace("{code:int}", "7")))
    return [path for path in found if path not in OUTSIDE]


def test_no_page_has_a_barrier(gateway: GatewayProcess, page: Page) -> None:
    complaints = []
    for path in places(gateway):
        answer = page.goto(path, wait_until="load")
        assert answer is not None
        if "text/html" in answer.headers["content-type"] and answer.status < 500:
            complaints += [f"{path} {barrier}" for barrier in barriers(page)]
    assert not complaints, "\n".join(complaints)


def test_nor_does_any_before_the_log_in(gateway: GatewayProcess, browser: Browser) -> None:
    complaints = []
    with browser.new_context(base_url=gateway.url) as stranger:
        page = stranger.new_page()
        for path in OUTSIDE:
            page.goto(path)
            complaints += [f"{path} {barrier}" for barrier in barriers(page)]
    assert not complaints, "\n".join(complaints)


def test_the_keyboard_comes_everywhere_and_one_sees_where_it_is(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.goto("/modules")
    unseen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        unseen += page.evaluate(
            """() => {
              const at = document.activeElement;
              if (at === document.body) return [];
              const style = getComputedStyle(at);
              const seen = parseFloat(style.outlineWidth) >= 2 && style.outlineStyle !== "none";
              return seen ? [] : [at.outerHTML.slice(0, 100)];
            }"""
        )
    assert unseen == []


def test_a_phone_has_five_places_at_its_foot_and_the_others_behind_more(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/")
    bar = page.locator("nav.nav > :visible")
    assert bar.count() <= 5
    page.get_by_text("More", exact=True).click()
    page.locator("nav.nav .more").get_by_role("link", name="Account").click()
    expect(page.get_by_role("heading", name="Account", level=1)).to_be_visible()


def test_what_changes_by_itself_is_announced_politely_and_not_every_tick(page: Page) -> None:
    page.goto("/modules")
    regions = page.locator("[aria-live], [role=status], [role=alert], [role=log]")
    assert page.locator("#announce[aria-live=polite]").count() == 1
    # Nothing that ticks stands within a region that is read out.
    for region in regions.all():
        assert region.locator("[data-age], [data-until], [data-key], [data-part]").count() == 0


def test_who_wants_no_motion_gets_none(page: Page) -> None:
    page.goto("/modules")
    moving = page.evaluate(
        """() => [...document.querySelectorAll("*")].filter((e) => {
          const style = getComputedStyle(e);
          const long = (times) => times.split(",").some((time) => parseFloat(time) > 0.01);
          const moves = style.animationName !== "none" && long(style.animationDuration);
          return moves || long(style.transitionDuration);
        }).map((e) => e.outerHTML.slice(0, 100))"""
    )
    assert moving == []


def test_a_page_in_french_brings_the_texts_of_its_scripts(gateway: GatewayProcess, browser: Browser) -> None:
    """They come as a block of data, which the strict policy lets through."""
    errors: list[str] = []
    with browser.new_context(base_url=gateway.url, locale="fr-FR", timezone_id="Europe/Paris") as context:
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto("/login")
        expect(page.locator("html")).to_have_attribute("lang", "fr")
        page.locator("[name=username]").fill(ADMIN)
        page.locator("[name=password]").fill(gateway.password)
        page.locator("button.main").click()
        expect(page.get_by_role("heading", name="Accueil")).to_be_visible()
        wait_until(lambda: "passerelle_zone" in page.evaluate("document.cookie"), "the browser's zone")
        page.goto("/modules")
        said = page.evaluate("import('/static/language.js').then(({ t }) => t('Online'))")
        assert said == "En ligne"
        # The browser's own zone is known from the second page on.
        expect(page.locator("footer")).to_contain_text("Europe/Paris")
    assert errors == []
