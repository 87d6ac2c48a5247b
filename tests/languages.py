"""Every text that people read, gathered from templates, Python, scripts and types; held against catalogues.

`python -m tests.languages` (or `make texts`) brings the catalogues up to date: new texts come in empty, gone
ones go, and what lacks is listed.
"""

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po
from jinja2.ext import babel_extract

from gateway.core import errors
from web.language import ENGLISH, LANGUAGES, LOCALES, read_catalogue

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("gateway", "firmware", "web")
# What only devices and programs read stays English, as the protocols' documents do.
FOR_PROGRAMS = (
    "web/api/", "web/devices.py", "web/documented.py", "web/instance.py", "web/download.py", "web/health.py",
    "firmware/device/", "gateway/simulator/", "gateway/storage/", "gateway/cli.py", "gateway/control.py",
)  # fmt: skip
REFUSALS = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
COMMENT = re.compile(r"^[ \t]*//.*$", re.MULTILINE)
# `t("…")`, `later("…")` and `plural("…", "…")`, however deep within another text they stand.
SAYING = re.compile(
    r'(?<![\w.$])(?P<name>t|later|plural)\(\s*"(?P<one>(?:[^"\\]|\\.)*)"(?:,\s*"(?P<many>(?:[^"\\]|\\.)*)")?'
)
SINGLE = {"_", "gettext", "later", *REFUSALS}
CHOICE_TEXTS = ("group", "label", "hint", "unit")
PLACEHOLDER = re.compile(r"%\((\w+)\)[a-z]|%%|%")
# Stands for an f-string: made as it is said, so that no catalogue can hold it.
MADE = "{…}"
Key = str | tuple[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Text:
    """`many` is empty but for texts that count."""

    one: str
    many: str
    file: str
    line: int

    @property
    def key(self) -> Key:
        return (self.one, self.many) if self.many else self.one

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


def name_of(call: ast.Call) -> str:
    function = call.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def plain(node: ast.AST) -> str:
    """The text of a constant; nothing for what holds a text that was marked elsewhere."""
    if isinstance(node, ast.JoinedStr):
        return MADE
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def texts_of_call(call: ast.Call) -> Iterator[tuple[str, str]]:
    name, given = name_of(call), call.args
    if name == "ngettext" and len(given) > 1:
        yield plain(given[0]), plain(given[1])
    elif name == "HTTPException" and len(given) > 1:
        # What only programs get (a range that is none) may be made as it is said.
        yield "" if plain(given[1]) == MADE else plain(given[1]), ""
    elif name == "Choice":
        named = {word.arg: word.value for word in call.keywords}
        named |= dict(zip(("name", "group", "label", "default", "hint"), given, strict=False))
        parts = [named[word] for word in CHOICE_TEXTS if word in named]
        parts += [pair.elts[1] for pair in getattr(named.get("options"), "elts", [])]
        yield from ((plain(part), "") for part in parts)
    elif name in SINGLE and given:
        yield plain(given[0]), ""


def in_python(path: Path, file: str) -> Iterator[Text]:
    for node in ast.walk(ast.parse(path.read_text(), file)):
        if isinstance(node, ast.Call):
            for one, many in texts_of_call(node):
                yield Text(one, many, file, node.lineno)


def recorded(path: Path, file: str) -> Iterator[Text]:
    """Sentences that are kept as they were said, with `v1`, `v2` for what was put in: see web/recorded.py."""
    tree = ast.parse(path.read_text(), file)
    within = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in within | documents or not isinstance(node, ast.JoinedStr | ast.Constant):
            continue
        text = template_of(node)
        if SENTENCE.fullmatch(text) and WORD.search(GAP.sub("", text)):
            yield Text(text, "", file, node.lineno)


def template_of(node: ast.JoinedStr | ast.Constant) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    gaps = count(1)
    parts = (
        part.value if isinstance(part, ast.Constant) else f"%(v{next(gaps)})s" for part in node.values
    )
    return "".join(map(str, parts))


def called(found: Iterable[tuple], file: str) -> Iterator[Text]:
    for line, name, message, *_ in found:
        one, many, *_ = (*message, "") if isinstance(message, tuple) else (message, "")
        yield Text(one or "", (many or "") if name == "ngettext" else "", file, line)


def in_template(path: Path, file: str) -> Iterator[Text]:
    options = {"trimmed": "true", "silent": "false", "newstyle_gettext": "true", "trim_blocks": "true"}
    with path.open("rb") as source:
        yield from called(babel_extract(source, ("_", "gettext", "ngettext"), (), options), file)


def in_script(path: Path, file: str) -> Iterator[Text]:
    source = COMMENT.sub("", path.read_text())
    for call in SAYING.finditer(source):
        one, many = (json.loads(f'"{part or ""}"') for part in call.group("one", "many"))
        line = source.count("\n", 0, call.start()) + 1
        yield Text(one, many if call["name"] == "plural" else "", file, line)


def in_types(path: Path, file: str) -> Iterator[Text]:
    """The labels and names of types that come with the gateway."""

    def walk(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            yield from (text for key, text in node.items() if key in NAMING and isinstance(text, str))
            for inner in node.values():
                yield from walk(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from walk(inner)

    for text in walk(tomllib.loads(path.read_text())):
        yield Text(text, "", file, 1)


NAMING = ("label", "name")
# Whose sentences the ledger of updates and the rollouts keep.
RECORDS = {
    f"firmware/{name}.py"
    for name in (
        "assignment", "compatibility", "course", "guards", "patience", "probation", "reconcile", "relapses",
        "rollout_driver", "rollout_gate", "rollout_rules", "rollout_worker", "rollouts", "soundness",
        "windows",
    )
}  # fmt: skip
# It begins and ends as one does, or with what was put in; what the log says has other gaps.
GAP, WORD = re.compile(r"%\(v\d+\)s"), re.compile(r"[a-z]{2}")
SENTENCE = re.compile(r"([A-Z]\S*|%\(v\d+\)s) (?!.*%d).*(\.|%\(v\d+\)s)", re.DOTALL)
READERS = {".py": in_python, ".html": in_template, ".js": in_script, ".toml": in_types}


def texts(root: Path = ROOT) -> list[Text]:
    """All of them, once for each place."""
    found = []
    for path in sorted(file for package in PACKAGES for file in (root / package).rglob("*")):
        file = path.relative_to(root).as_posix()
        if path.suffix in READERS and "/vendor/" not in file and not file.startswith(FOR_PROGRAMS):
            found += [text for text in READERS[path.suffix](path, file) if text.one]
            found += recorded(path, file) if file in RECORDS else []
    return found


def placeholders(text: str) -> list[str]:
    return sorted(match.group() for match in PLACEHOLDER.finditer(text))


def said(catalogue: Catalog) -> dict[str, tuple[Key, tuple[str, ...], bool]]:
    """By the English text: the whole key, the translations, whether they are only guessed."""
    return {
        key_one(message.id): (message.id, forms(message.string), message.fuzzy)
        for message in catalogue
        if message.id
    }


def key_one(key: Key) -> str:
    return key if isinstance(key, str) else key[0]


def forms(string: object) -> tuple[str, ...]:
    return (string,) if isinstance(string, str) else tuple(string or ())


def complaints(catalogue: Catalog, wanted: Iterable[Text]) -> Iterator[str]:
    """What is wrong with a catalogue, a sentence each."""
    known, keys = said(catalogue), {}
    for text in wanted:
        if text.one == MADE:
            yield f"{text.where}: a text for people is a template and values, no f-string"
        elif keys.setdefault(text.one, text).key != text.key:
            yield f"{text.where}: {text.one!r} counts here and does not at {keys[text.one].where}"
    for one, text in keys.items():
        key, translations, fuzzy = known.get(one, ("", (), False))
        if key != text.key or not all(translations) or not translations:
            yield f"{text.where}: no translation of {one!r}"
        elif fuzzy:
            yield f"{text.where}: the translation of {one!r} is only guessed"
        else:
            yield from unlike(text, translations)
    yield from (f"nobody says {one!r}" for one in known.keys() - keys.keys())


def unlike(text: Text, translations: tuple[str, ...]) -> Iterator[str]:
    wanted = {tuple(placeholders(text.one)), tuple(placeholders(text.many or text.one))}
    for translation in translations:
        if tuple(placeholders(translation)) not in wanted:
            yield f"{text.where}: other placeholders in {translation!r} than in {text.one!r}"
        if translation.strip() != translation and text.one.strip() == text.one:
            yield f"{text.where}: blanks around {translation!r}"


def updated(code: str, wanted: Iterable[Text]) -> Catalog:
    """The catalogue with exactly these texts and the translations it had."""
    old = read_catalogue(code)
    known = said(old)
    fresh = Catalog(locale=code, fuzzy=False, header_comment="")
    for text in sorted(text for text in wanted if text.one != MADE):
        key, translations, _ = known.get(text.one, (text.key, (), False))
        string: object = translations if text.many else (translations or ("",))[0]
        if isinstance(key, str) != (not text.many):
            string = ("",) * fresh.num_plurals if text.many else ""
        fresh.add(text.key, string or None, locations=[(text.file, 0)])
    for message in fresh:
        message.flags.clear()
    return fresh


def write(code: str, catalogue: Catalog) -> None:
    header = (
        'msgid ""\nmsgstr ""\n'
        f'"Language: {code}\\n"\n"Plural-Forms: {catalogue.plural_forms}\\n"\n'
        '"MIME-Version: 1.0\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'
        '"Content-Transfer-Encoding: 8bit\\n"\n\n'
    )
    path = LOCALES / f"{code}.po"
    with path.open("wb") as file:
        file.write(header.encode())
        write_po(file, catalogue, width=0, omit_header=True, sort_output=True, include_lineno=False)


def main() -> int:
    wanted, lacking = texts(), []
    for code in LANGUAGES.keys() - {ENGLISH}:
        write(code, updated(code, wanted))
        lacking += [f"{code}: {complaint}" for complaint in complaints(read_catalogue(code), wanted)]
    print(*lacking, sep="\n")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
