"""Every text comes from a catalogue, every catalogue is whole, a browser gets the language it asks for."""

import re
from html.parser import HTMLParser

import pytest
from babel.messages.catalog import Catalog
from babel.support import NullTranslations

from tests import languages
from tests.web.house import Caller, House
from tests.web.reader import VOID
from web import language, visit
from web.pages import PAGES

pytestmark = pytest.mark.anyio
OPEN, CLOSE = "⟦", "⟧"
WANTED = languages.texts()
# Attributes that people see or hear.
SAID = ("alt", "aria-label", "aria-description", "data-label", "placeholder", "title", "aria-valuetext")
WORD = re.compile(r"[^\W\d_][^\W\d_']+")
# Paths, codes, numbers, JSON: what has such a sign in its middle is no word.
CODE = re.compile(r"\S*[A-Za-z0-9][./_:=@{}\[\]\"0-9][A-Za-z0-9]\S*|\{\S*\}")
# Names, units and signs that are the same in every language; ids and names of our own house under test; days,
# for which a language that nobody speaks has no names.
NO_WORDS = set(
    """
    Passerelle Français English UTC SHA MQTT REST HTTP JSON API CSV QR TLS MB kB dBm min admin technician user
    xx ABCD EFGH gateway module color loop Home Assistant Node RED Python SQLite Linux test fw
    Mon Tue Wed Thu Fri Sat Sun
    """.split()
)
# What is written for machines, or given by people and devices, is no text of ours.
NOT_OURS = {"code", "script", "style", "pre", "kbd", "textarea"}


class Shouted(NullTranslations):
    """Every text in brackets, so that one which is not from here is seen."""

    def ugettext(self, message: str) -> str:
        return f"{OPEN}{message}{CLOSE}"

    def ungettext(self, one: str, many: str, count: int) -> str:
        return f"{OPEN}{one if count == 1 else many}{CLOSE}"


class Unmarked(HTMLParser):
    """`found`: words that stand outside of all brackets, each with the text around it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._within: list[bool] = []
        self._depth = 0
        self.feed(text)

    def _look(self, data: str) -> None:
        outside = []
        for sign in data:
            self._depth += (sign == OPEN) - (sign == CLOSE)
            outside.append(sign if self._depth == 0 and sign != CLOSE else " ")
        words = [word for word in WORD.findall(CODE.sub(" ", "".join(outside))) if word not in NO_WORDS]
        if words:
            self.found.append(" ".join(data.split())[:100])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        marked = at.get("translate") == "no" or ("lang" in at and tag != "html")
        ours = not (tag in NOT_OURS or marked or "mono" in at.get("class", "").split())
        if tag not in VOID:
            self._within.append(ours)
        if all(self._within) and ours:
            before = self._depth
            for name in SAID:
                self._look(at.get(name, ""))
                self._depth = before

    def handle_endtag(self, tag: str) -> None:
        if self._within and tag not in VOID:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        if all(self._within):
            self._look(data)


@pytest.fixture
def shouting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(language.LANGUAGES, "xx", "xx")
    monkeypatch.setattr(language, "catalogue", lambda code: Shouted())
    monkeypatch.setattr(visit, "script_texts", lambda code: {})


def french(*messages: tuple[languages.Key, object], fuzzy: bool = False) -> Catalog:
    catalogue = Catalog(locale="fr")
    for key, string in messages:
        catalogue.add(key, string, flags={"fuzzy"} if fuzzy else ())
    return catalogue


@pytest.mark.parametrize("code", sorted(language.LANGUAGES.keys() - {language.ENGLISH}))
def test_a_catalogue_has_every_text_and_no_other(code: str) -> None:
    wrong = list(languages.complaints(language.read_catalogue(code), WANTED))
    assert not wrong, "run `make texts`, then translate\n" + "\n".join(sorted(wrong))


def test_what_a_catalogue_lacks_is_noticed() -> None:
    one = [languages.Text("Add %(name)s", "", "a.html", 1)]
    count = [languages.Text("%(num)s lamp", "%(num)s lamps", "a.html", 1)]

    def wrong(catalogue: Catalog, wanted: list[languages.Text] = one) -> str:
        return " ".join(languages.complaints(catalogue, wanted))

    assert wrong(french(("Add %(name)s", "Ajouter %(name)s"))) == ""
    assert "no translation" in wrong(french())
    assert "no translation" in wrong(french(("Add %(name)s", "")))
    assert "only guessed" in wrong(french(("Add %(name)s", "Ajouter %(name)s"), fuzzy=True))
    assert "other placeholders" in wrong(french(("Add %(name)s", "Ajouter %(nom)s")))
    assert "nobody says" in wrong(french(("Add %(name)s", "Ajouter %(name)s"), ("Go", "Aller")))
    plural = ("%(num)s lamp", "%(num)s lamps")
    assert wrong(french((plural, ("%(num)s lampe", "%(num)s lampes"))), count) == ""
    assert wrong(french((plural, ("une lampe", "%(num)s lampes"))), count) != ""
    assert "no translation" in wrong(french((plural, ("%(num)s lampe", ""))), count)


def test_templates_say_only_what_a_catalogue_can_hold() -> None:
    """And nothing that somebody typed: what `_` gives is not escaped."""
    said = re.compile(r"(?<![\w.])(?:_|gettext|ngettext)\((?!\")[^)]*\)")
    for path in (language.LOCALES.parent / "templates").glob("*.html"):
        assert not said.findall(path.read_text()), f"{path.name}: use `| worded` for a text that is a value"


async def furnished(house: House) -> None:
    """A little of everything, so that pages have something to say."""
    if house.core.registry.known("a-1"):
        return
    module = await house.module("a-1")
    await house.module("a-2", owner="user")
    await house.waiting("w-1")
    await house.waiting("r-1")
    admin = await house.person("admin")
    await house.core.decisions.reject(["r-1"], admin, "3")
    house.core.presence.heard(module)
    house.core.telemetry.report(module, {"n": 1.5})
    await house.core.commands.send("a-1", "set", {"values": {"n": 1}}, "admin")
    await house.image()


def places() -> list[str]:
    fill = {"{id}": "a-1", "{number:int}": "1", "{user:int}": "1", "{code:int}": "0", "{name}": "x"}
    found = []
    for path in (page.path for page in PAGES if page.method == "GET"):
        for gap, filling in fill.items():
            path = path.replace(gap, filling)
        found.append(path)
    return [*found, "/modules/a-2", "/nowhere", "/api/docs"]


async def unmarked(caller: Caller, path: str) -> list[str]:
    reply = await caller.http.get(path, headers={"accept-language": "xx"}, follow_redirects=True)
    if not reply.headers["content-type"].startswith("text/html"):
        return []
    assert reply.status_code < 500, path
    return [f"{path}: {text}" for text in Unmarked(reply.text).found]


@pytest.mark.parametrize("who", ["admin", "user", "nobody"])
async def test_no_text_on_a_page_is_without_a_catalogue(shared: House, shouting: None, who: str) -> None:
    await furnished(shared)
    caller = shared.anybody() if who == "nobody" else await shared.browser(who)
    found = [text for path in places() for text in await unmarked(caller, path)]
    assert not found, "\n".join(dict.fromkeys(found))


@pytest.mark.parametrize("code", sorted(language.LANGUAGES))
async def test_every_page_can_be_made_in_every_language(shared: House, code: str) -> None:
    await furnished(shared)
    caller = await shared.browser("admin")
    for path in places():
        reply = await caller.http.get(path, headers={"accept-language": code}, follow_redirects=True)
        assert reply.status_code < 500, path
        assert "html" not in reply.headers["content-type"] or f'<html lang="{code}"' in reply.text, path


async def test_a_browser_gets_the_language_it_asks_for(shared: House) -> None:
    caller = shared.anybody()
    for header, code in (
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"), ("de, en;q=0.5, fr;q=0.2", "en"), ("", "en"), ("x;q=y, fr", "fr"),
        ("fr;q=0", "en"),
    ):  # fmt: skip
        reply = await caller.http.get("/login", headers={"accept-language": header})
        assert f'<html lang="{code}"' in reply.text, header
