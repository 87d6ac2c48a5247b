"""The shape of the house: imports point down, topics live in one room, nothing grows too big.

A rule is a function from a tree's root to complaints. Each is held against this repository, and shown a small
tree that breaks it, so that a rule which has gone blind is noticed.
"""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("gateway", "bridge", "web", "firmware")
LONGEST_FUNCTION, LONGEST_FILE = 40, 300

# Whom each floor may import: itself and what lies below. What lies loose in gateway/ is the roof.
GROUND = frozenset({"gateway.storage"})
HEART = GROUND | {"gateway.core", "gateway.settings"}
MAY_IMPORT = {
    "roof": HEART | {"roof", "web", "firmware", "bridge"},
    "web": HEART | {"web", "firmware"},
    "firmware": HEART | {"firmware"},
    "bridge": HEART | {"bridge"},
    "gateway.core": HEART,
    "gateway.settings": frozenset({"gateway.settings"}),
    "gateway.storage": GROUND,
    "leaf": frozenset(),
}
# The one error tree is nobody's floor: every floor raises from it, and it imports nothing of ours.
LEAF = "gateway.core.errors."
# What travels on a wire is translated before it reaches the core.
NOT_IN_CORE = frozenset(
    {"amqtt", "engineio", "json", "orjson", "paho", "socketio", "starlette", "uvicorn", "websockets"}
)
TOPIC = re.compile(r"^/?gw/\d|/(up|down|out|ask)/|^(up|down|out|ask)/[a-z]")
# The brackets keep this file from holding what it forbids.
HUSHES = re.compile(r"no[q]a|type:\s*[i]gnore|TYPE[_]CHECKING")
HOSTS = re.compile(r"(pypi|crates|npmjs|yarnpkg|pythonhosted)[.](org|com|io)\b|(deb|snapshot)[.]debian[.]")
OUTSIDE = re.compile(r"[.][.]/shared\b|[.]library/")

Rule = Callable[[Path], Iterator[str]]


def python_files(root: Path) -> list[Path]:
    return sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))


def sources(root: Path) -> Iterator[tuple[Path, str]]:
    """Every module the server runs, with its dotted name; the device's files are a world of their own."""
    for path in python_files(root):
        words = path.relative_to(root).with_suffix("").parts
        if words[:2] != ("firmware", "device"):
            yield path, ".".join(words[:-1] if words[-1] == "__init__" else words)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(path: Path, name: str) -> Iterator[tuple[int, str]]:
    """Everything a module imports, anywhere in it, as (line, absolute dotted name of module or member)."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, node.module] if node.module else above)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def floor(name: str) -> str | None:
    """The floor a dotted name lives on; None for other people's libraries."""
    words = name.split(".")
    if words[0] != "gateway":
        return words[0] if words[0] in PACKAGES else None
    return ".".join(words[:2]) if ".".join(words[:2]) in HEART else "roof"


def imports_point_down(root: Path) -> Iterator[str]:
    for path, name in sources(root):
        own = "leaf" if name + "." == LEAF else floor(name) or "roof"
        for line, target in imports(path, name):
            theirs = floor(target)
            if theirs and theirs not in MAY_IMPORT[own] and not target.startswith(LEAF):
                allowed = ", ".join(sorted(MAY_IMPORT[own]))
                yield f"{path}:{line} ({own}) imports {target} ({theirs}); {own} may import only {allowed}"


def no_cycles(root: Path) -> Iterator[str]:
    paths = {name: path for path, name in sources(root)}
    graph = {
        name: {known(target, paths) for _, target in imports(path, name)} - {name, ""}
        for name, path in paths.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield "modules import each other in a circle: " + " <- ".join(error.args[1])


def known(target: str, modules: dict[str, Path]) -> str:
    """The module of ours that an imported name means: itself, or the one whose member it is."""
    return next((name for name in (target, target.rpartition(".")[0]) if name in modules), "")


def device_stays_apart(root: Path) -> Iterator[str]:
    for path, name in sources(root):
        for line, target in imports(path, name):
            if (target + ".").startswith("firmware.device."):
                yield f"{path}:{line} imports {target}: the device's files run on boards, never in the server"
    for path in sorted((root / "firmware" / "device").rglob("*.py")):
        for line, target in imports(path, "device." + path.stem):
            if floor(target):
                yield f"{path}:{line} imports {target}: a board has none of the server's modules"


def core_knows_no_wire(root: Path) -> Iterator[str]:
    for path, name in sources(root):
        if floor(name) == "gateway.core":
            for line, target in imports(path, name):
                if target.split(".")[0] in NOT_IN_CORE:
                    yield f"{path}:{line} imports {target}: translate at the border, in bridge/ or web/"


def topics_in_one_room(root: Path) -> Iterator[str]:
    for path, name in sources(root):
        if name == "bridge.topics":
            continue
        for line, text in strings(tree(path)):
            if TOPIC.search(text) and not (name == "gateway.settings" and text == "gw/1"):
                yield f"{path}:{line} spells a topic, {text!r}: topic strings live in bridge/topics.py"


def strings(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Every string in the code, f-strings' parts too, but not the docstrings."""
    scopes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(module) if isinstance(node, scopes) and node.body]
    docs = {id(body[0].value) for body in bodies if isinstance(body[0], ast.Expr)}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def nothing_grows_too_big(root: Path) -> Iterator[str]:
    for path in python_files(root):
        lines = len(path.read_text().splitlines())
        if lines > LONGEST_FILE:
            yield f"{path} has {lines} lines: more than {LONGEST_FILE} usually hold two ideas"
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    yield f"{path}:{node.lineno} {node.name} has {length} lines, more than {LONGEST_FUNCTION}"


def nothing_hushed_up(root: Path) -> Iterator[str]:
    for path in files(root):
        if path.suffix == ".py":
            yield from (f"{place}: mend the cause instead" for place in found(HUSHES, path))


def no_registry_hosts(root: Path) -> Iterator[str]:
    for path in files(root):
        for place in found(HOSTS, path):
            yield f"{place}: where packages come from is the machine's own setting"


def nothing_from_outside(root: Path) -> Iterator[str]:
    for path in files(root):
        yield from (f"{place}: the project stands on its own files" for place in found(OUTSIDE, path))


def found(pattern: re.Pattern[str], path: Path) -> Iterator[str]:
    for number, line in enumerate(path.read_bytes().decode(errors="replace").splitlines(), 1):
        if match := pattern.search(line):
            yield f"{path}:{number} says {match.group()!r}"


def files(root: Path) -> list[Path]:
    """What git tracks or would track; in a tree without git, every file."""
    if not (root / ".git").exists():
        return [path for path in root.rglob("*") if path.is_file()]
    words = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(words, check=True, capture_output=True).stdout.decode().split("\0")
    return [root / name for name in names if name and (root / name).is_file()]


# Each rule, a tree that breaks it (file: text), and a word of the complaint that must follow.
BROKEN: list[tuple[Rule, dict[str, str], str]] = [
    (imports_point_down, {"gateway/core/a.py": "from bridge import topics"}, "gateway.core may import only"),
    (imports_point_down, {"gateway/storage/a.py": "def f():\n  import gateway.core.types"}, "(gateway.core)"),
    (imports_point_down, {"gateway/core/errors.py": "import gateway.core.clock"}, "(leaf)"),
    (imports_point_down, {"bridge/sockets/a.py": "from web import pages"}, "bridge may import only"),
    (imports_point_down, {"web/a.py": "from bridge.topics import Topics"}, "web may import only"),
    (imports_point_down, {"firmware/a.py": "import web.api"}, "firmware may import only"),
    (imports_point_down, {"web/a.py": "from gateway import app"}, "gateway.app (roof)"),
    (imports_point_down, {"gateway/core/__init__.py": "from .. import simulate"}, "gateway.simulate (roof)"),
    (no_cycles, {"web/a.py": "from web import b", "web/b.py": "def f():\n    from .a import x"}, "circle"),
    (no_cycles, {"web/a.py": "if TYPE:\n    import web.b", "web/b.py": "from web.a import x"}, "circle"),
    (device_stays_apart, {"firmware/offer.py": "from firmware.device import client"}, "run on boards"),
    (device_stays_apart, {"firmware/device/a.py": "import bridge.topics"}, "a board has none"),
    (core_knows_no_wire, {"gateway/core/a.py": "import paho.mqtt.client"}, "translate at the border"),
    (core_knows_no_wire, {"gateway/core/a.py": "def f():\n    from json import loads"}, "at the border"),
    (topics_in_one_room, {"web/a.py": "def f(id):\n    return f'{root}/{id}/up/telemetry'"}, "topics.py"),
    (topics_in_one_room, {"gateway/settings.py": "TOPIC = 'gw/1/register'"}, "spells a topic"),
    (topics_in_one_room, {"bridge/a.py": "SUFFIX = 'down/command'"}, "spells a topic"),
    (nothing_grows_too_big, {"web/a.py": "def f():\n" + "    x = 1\n" * 40}, "f has 41 lines"),
    (nothing_grows_too_big, {"web/a.py": "x = 1\n" * 301}, "has 301 lines"),
    (nothing_hushed_up, {"tests/a.py": "import os  # no" + "qa: F401"}, "mend the cause"),
    (nothing_hushed_up, {"bridge/a.py": "x = f()  # type: " + "ignore[arg-type]"}, "mend the cause"),
    (no_registry_hosts, {"package-lock.json": "https://registry.npmjs" + ".org/ms"}, "own setting"),
    (no_registry_hosts, {"README.md": "see https://pypi" + ".org/project/passerelle"}, "own setting"),
    (nothing_from_outside, {"docs/a.md": "as ../" + "shared/PROTOCOLS.md says"}, "its own files"),
]
RULES = list(dict.fromkeys(rule for rule, _, _ in BROKEN))

SOUND = {
    "gateway/app.py": "import bridge.topics, web.pages\nfrom gateway.core.registry import Registry",
    "gateway/settings.py": "ROOT = 'gw/1'",
    "gateway/core/registry.py": '"""Hears gw/1/x/up/telemetry."""\nfrom gateway.storage import store',
    "gateway/storage/store.py": "import json",
    "bridge/topics.py": "UP = 'gw/1/+/up/#'",
    "web/pages.py": "import json\nfrom gateway.core import registry\nPAGE = '/modules/up'",
    "firmware/device/client.py": "UP = 'gw/1/x/up/telemetry'\nimport json",
}


def plant(root: Path, tree: dict[str, str]) -> Path:
    for name, text in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule(rule: Rule) -> None:
    complaints = list(rule(ROOT))
    assert not complaints, "\n" + "\n".join(complaints)


@pytest.mark.parametrize(("rule", "broken", "word"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_the_rule_sees_a_breach(rule: Rule, broken: dict[str, str], word: str, tmp_path: Path) -> None:
    complaints = list(rule(plant(tmp_path, broken)))
    assert len(complaints) == 1
    assert word in complaints[0]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_leaves_a_sound_tree_alone(rule: Rule, tmp_path: Path) -> None:
    assert list(rule(plant(tmp_path, SOUND))) == []


def test_the_rules_see_this_repository() -> None:
    names = {name for _, name in sources(ROOT)}
    assert {"bridge.topics", "gateway.core.rights"} <= names
