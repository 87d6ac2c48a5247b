"""What pages say, in the visitor's language. The English text is the key; catalogues hold the others.

Texts are gettext messages: `_("Approve %(name)s", name=name)` in Python and in templates. Who asks decides
the language (`speaking`), so a handler or template never passes it on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from gateway.core.errors import Said

LOCALES = Path(__file__).parent / "locales"
ENGLISH = "en"
# Each language by its own name; English needs no catalogue.
LANGUAGES = {ENGLISH: "English", "fr": "Français"}

_language: ContextVar[str] = ContextVar("language", default=ENGLISH)


def language() -> str:
    """The code of the language that is spoken now."""
    return _language.get()


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Speak this language within; one that we do not have is English."""
    token = _language.set(code if code in LANGUAGES else ENGLISH)
    try:
        yield
    finally:
        _language.reset(token)


def read_catalogue(code: str) -> Catalog:
    """The messages of a language other than English, with the files that say them."""
    with (LOCALES / f"{code}.po").open("rb") as file:
        return read_po(file, locale=code)


@cache
def catalogue(code: str) -> NullTranslations:
    """The texts of a language; for English those in the code itself."""
    if code == ENGLISH:
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, read_catalogue(code))
    compiled.seek(0)
    return Translations(compiled)


def found(text: str) -> str:
    """`text` in the visitor's language, its `%(name)s` still in it."""
    # To gettext the empty text is the head of the catalogue.
    return str(catalogue(language()).ugettext(text)) if text else ""


def found_of(one: str, many: str, count: int) -> str:
    """`one` or `many` by the rules of the visitor's language, its `%(name)s` still in it."""
    return str(catalogue(language()).ungettext(one, many, count))


def gettext(text: str, /, **values: object) -> str:
    """`text` in the visitor's language, with its values put in; values that are sentences are said too."""
    return found(text) % _told(values) if values else found(text)


def ngettext(one: str, many: str, num: int, /, **values: object) -> str:
    """As `gettext`, with `one` or `many`; `%(num)s` is the number."""
    return found_of(one, many, num) % _told({"num": num, **values})


def _told(values: dict[str, object]) -> dict[str, object]:
    return {name: told(value) for name, value in values.items()}


def told(value: object) -> object:
    """A sentence of the core in the visitor's language; anything else as it is."""
    return gettext(value.template, **value.values) if isinstance(value, Said) else value


def later(text: str) -> str:
    """Mark a text of a table, which is said with `gettext` when it is shown."""
    return text


_ = gettext
