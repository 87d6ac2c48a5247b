"""The ways in which people use pages: with a mouse, by the keyboard alone, on a phone with a thumb."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Locator, Page, expect

from .chromium import watched

# More places than any page has; who has not arrived by then never will.
MOST_TABS = 400
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESK = {"viewport": {"width": 1280, "height": 900}}


class Mouse:
    context = DESK

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, place: Locator) -> None:
        place.click()

    def fill(self, place: Locator, text: str) -> None:
        place.click()
        place.fill(text)

    def tick(self, place: Locator) -> None:
        place.check()

    def choose(self, place: Locator, word: str) -> None:
        place.select_option(label=word)

    def go(self, name: str) -> None:
        """To a place of the main menu."""
        self.press(self.page.locator("nav.nav").get_by_role("link", name=name))


class Thumb(Mouse):
    """Taps; a page that is wider than the phone would have to be pushed about."""

    context = PHONE

    def press(self, place: Locator) -> None:
        place.wait_for()
        self._fits()
        place.tap()

    def fill(self, place: Locator, text: str) -> None:
        place.tap()
        place.fill(text)

    def tick(self, place: Locator) -> None:
        place.tap()
        expect(place).to_be_checked()

    def go(self, name: str) -> None:
        link = self.page.locator("nav.nav").get_by_role("link", name=name)
        if not link.first.is_visible():
            self.page.locator("nav.nav summary").tap()
        self.press(link.first)

    def _fits(self) -> None:
        """Once its styles are there, no page is wider than the phone."""
        self.page.wait_for_load_state()
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(wide) <= 0, f"{self.page.url} is wider than a phone"


class Keys(Mouse):
    """Only keys; each control is reached with Tab, and shows that it is."""

    def _reach(self, place: Locator) -> None:
        place.wait_for()
        mine = "element => document.activeElement === element"
        for _ in range(MOST_TABS):
            if place.evaluate(mine):
                shown = "element => element.matches(':focus-visible')"
                assert place.evaluate(shown), "nobody sees where the keyboard is"
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab never comes to {place}")

    def press(self, place: Locator) -> None:
        self._reach(place)
        self.page.keyboard.press("Enter")

    def fill(self, place: Locator, text: str) -> None:
        self._reach(place)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)
        expect(place).to_have_value(text)

    def tick(self, place: Locator) -> None:
        self._reach(place)
        self.page.keyboard.press("Space")
        expect(place).to_be_checked()

    def choose(self, place: Locator, word: str) -> None:
        self._reach(place)
        self.page.keyboard.type(word)
        chosen = "element => element.selectedOptions[0].label"
        assert place.evaluate(chosen).startswith(word)


WAYS = {"mouse": Mouse, "keyboard": Keys, "phone": Thumb}


@contextmanager
def using(browser: Browser, url: str, way: str) -> Iterator[Mouse]:
    """A fresh browser in somebody's hands; nothing may complain while they use it."""
    kind = WAYS[way]
    with watched(browser, url, **kind.context) as page:
        yield kind(page)
