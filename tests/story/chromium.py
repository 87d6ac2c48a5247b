"""A real Chromium that fails the test when a page complains."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

ARGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
PATIENCE_MS = 30_000
# What a page shall show, it may show late on a machine that is shared.
expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGS)
        yield browser
        browser.close()


class Watched:
    """A page in a fresh profile; `complaints` gathers console errors, exceptions and CSP violations."""

    def __init__(self, browser: Browser, url: str, javascript: bool = True, **how: Any) -> None:
        self._context = browser.new_context(base_url=url, java_script_enabled=javascript, **how)
        self._context.set_default_timeout(PATIENCE_MS)
        self.page = self._context.new_page()
        self.complaints: list[str] = []
        self.navigations: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)

    def _console(self, message) -> None:
        words = message.text.lower()
        if message.type == "error" or "content security policy" in words:
            self.complaints.append(f"{message.type}: {message.text}")

    def _dialog(self, dialog) -> None:
        self.complaints.append(f"a script opened a dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request) -> None:
        if request.is_navigation_request():
            self.navigations.append(request.url)

    def close(self) -> None:
        self._context.close()


@contextmanager
def watched(browser: Browser, url: str, javascript: bool = True, **how: Any) -> Iterator[Page]:
    """The page, in a context of this kind (`how`); on leaving, nothing may have complained."""
    watcher = Watched(browser, url, javascript, **how)
    try:
        yield watcher.page
        assert watcher.complaints == []
    finally:
        watcher.close()


@contextmanager
def staying(page: Page) -> Iterator[None]:
    """Within, the page must not be loaded anew: a mark on its window stays, no navigation is asked for."""
    asked: list[str] = []

    def note(request) -> None:
        if request.is_navigation_request():
            asked.append(request.url)

    page.on("request", note)
    page.evaluate("window.stayedHere = true")
    yield
    assert page.evaluate("window.stayedHere") is True
    page.remove_listener("request", note)
    assert asked == []
