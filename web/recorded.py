"""Sentences that were written down in English, in another language: by the template they were made of."""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from web.language import ENGLISH, found, language, read_catalogue

_GAP = re.compile(r"%\((\w+)\)[a-z]")
# From one sentence to the next.
_BETWEEN = re.compile(r"(?<=[.:]) (?=[A-Z])")
_MOST = 500
# A template with fewer letters of its own would fit what it did not make.
_LEAST = 8


@dataclass(frozen=True, slots=True)
class _Template:
    """`part`: its longest stretch without a gap."""

    text: str
    part: str
    pattern: re.Pattern[str]


def recorded(text: str) -> str:
    """What a ledger holds, as its reader would say it; as it stands where no template of ours fits."""
    as_it_is = not text or language() == ENGLISH or len(text) > _MOST
    return text if as_it_is else _recognised(language(), text)


@lru_cache(maxsize=4096)
def _recognised(code: str, text: str) -> str:
    """The language is in the key only: `found` knows it."""
    whole = found(text)
    if whole != text:
        return whole
    pieces = _BETWEEN.split(text)
    said = [_recognised(code, piece) for piece in pieces] if len(pieces) > 1 else []
    if said and all(word != piece for word, piece in zip(said, pieces, strict=True)):
        return " ".join(said)
    return _by_template(code, text) or " ".join(said) or text


def _by_template(code: str, text: str) -> str:
    """What was put in may be a sentence of ours itself."""
    for template in _templates(code):
        fits = template.pattern.fullmatch(text) if template.part in text else None
        if fits is not None:
            values = {name: _recognised(code, value) for name, value in fits.groupdict().items()}
            return _filled(found(template.text), values)
    return ""


def _filled(text: str, values: dict[str, str]) -> str:
    return _GAP.sub(lambda gap: values[gap[1]], text)


@cache
def _templates(code: str) -> list[_Template]:
    """Those of our Python with gaps in them, the longest first."""
    made = [
        _template(message.id)
        for message in read_catalogue(code)
        if isinstance(message.id, str) and _GAP.search(message.id)
    ]
    return sorted((each for each in made if len(each.part) >= _LEAST), key=lambda each: -len(each.text))


def _template(text: str) -> _Template:
    pieces, names = [], set()
    end = 0
    for gap in _GAP.finditer(text):
        pieces.append(re.escape(text[end : gap.start()]))
        pieces.append(f"(?P={gap[1]})" if gap[1] in names else f"(?P<{gap[1]}>.+?)")
        names.add(gap[1])
        end = gap.end()
    pieces.append(re.escape(text[end:]))
    return _Template(text, max(_GAP.split(text)[::2], key=len), re.compile("".join(pieces), re.DOTALL))
