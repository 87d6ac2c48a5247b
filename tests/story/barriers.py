"""What keeps people out of a page, as axe-core finds it, and what it does not look for."""

from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIZES = {"desk": (1280, 900), "phone": (390, 844)}
# WCAG 2.2, 2.5.8: a finger needs 24 by 24. Links and boxes to tick may be smaller where there is room around
# them, which axe knows; what has a frame of its own may not.
SMALL = """() => [...document.querySelectorAll("button, summary, select, textarea")].filter((e) => {
  const box = e.getBoundingClientRect();
  if (!box.width || !box.height || getComputedStyle(e).visibility === "hidden") return false;
  return !e.closest(".visually-hidden") && (box.width < 24 || box.height < 24);
}).map((e) => e.outerHTML.slice(0, 120))"""
WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def barriers(page: Page) -> Iterator[str]:
    """Of the page as it stands, in both themes and at both widths; a sentence each."""
    if page.evaluate("typeof axe === 'undefined'"):
        page.evaluate(AXE.read_text())
    for name, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        if page.evaluate(WIDE) > 0:
            yield f"{name}: it is wider than the screen"
        for small in page.evaluate(SMALL):
            yield f"{name}: too small to be hit: {small}"
        page.evaluate("document.documentElement.dataset.theme = 'light'")
        yield from found(page, f"{name}, light", {"type": "tag", "values": RULES})
    # The other theme has other colours and nothing else, and at both widths the same.
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    yield from found(page, "dark", {"type": "rule", "values": ["color-contrast"]})


def found(page: Page, where: str, only: dict[str, object]) -> Iterator[str]:
    options = {"runOnly": only, "resultTypes": ["violations"]}
    answer = page.evaluate("(options) => axe.run(document, options)", options)
    for violation in answer["violations"]:
        for node in violation["nodes"][:3]:
            why = " ".join(node["failureSummary"].split())[:200]
            yield f"{where}: {violation['id']}: {node['html'][:160]} ({why})"
