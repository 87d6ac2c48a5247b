"""The pages on the wire contracts, whose JSON is written from docs/asyncapi.yaml.

A block that begins with ```json NAME, or ```text NAME for a plain word, holds the example of that name.
`python -m tests.protocols.pages` writes all of them anew.
"""

import json
import re
from pathlib import Path
from typing import Any

from .document import DOCS, examples

WIDTH = 110
BLOCK = re.compile(r"^(?P<head>```(json|text) (?P<name>[^\n]+))\n.*?^```$", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    return [DOCS / "protocols.md", *sorted((DOCS / "protocols").glob("*.md"))]


def names_in(page: str) -> list[str]:
    return [block["name"] for block in BLOCK.finditer(page)]


def filled(page: str) -> str:
    """The page with every block as the examples have it now."""

    def block(found: re.Match[str]) -> str:
        example = examples()[found["name"]]
        text = example if isinstance(example, str) else shown(example)
        return f"{found['head']}\n{text}\n```"

    return BLOCK.sub(block, page)


def shown(value: Any, indent: int = 0, before: int = 0) -> str:
    """JSON on one line where there is room beside what stands `before` it, else one entry a line."""
    line = json.dumps(value, ensure_ascii=False)
    if indent + before + len(line) <= WIDTH or not value or not isinstance(value, dict | list):
        return line
    pad = " " * (indent + 2)
    if isinstance(value, list):
        inner = [pad + shown(one, indent + 2) for one in value]
    else:
        keys = {key: f"{json.dumps(key)}: " for key in value}
        inner = [f"{pad}{keys[key]}{shown(one, indent + 2, len(keys[key]))}" for key, one in value.items()]
    opening, closing = "[]" if isinstance(value, list) else "{}"
    return f"{opening}\n" + ",\n".join(inner) + f"\n{' ' * indent}{closing}"


if __name__ == "__main__":
    for path in pages():
        path.write_text(filled(path.read_text()))
