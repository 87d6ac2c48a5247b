"""The AsyncAPI document is one, its examples fit its schemas, and the pages show the same examples."""

import json
import re
from pathlib import Path

import pytest
from jsonschema_rs import Draft7Validator

from bridge.sockets.compat import ALIASES
from gateway.settings import Settings

from .document import DOCS, channels, document, examples, messages
from .pages import filled, names_in, pages
from .script import check_schema

HERE = Path(__file__).parent
OFFICIAL = HERE / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0-without-$id.json"
ALIAS = re.compile(r"^\| (\w+) \| (to the gateway|from the gateway) \| `(\S+)` \| `(\S+)` \|$", re.MULTILINE)
SETTING = re.compile(r"^\| `(PASSERELLE_\w+)` \|[^|]*\| (.*) \|$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(#[^)]*)?\)")


def test_it_is_an_asyncapi_document() -> None:
    schema = Draft7Validator(json.loads(OFFICIAL.read_text()))
    assert [f"{list(error.instance_path)}: {error.message}" for error in schema.iter_errors(document())] == []
    broken = document() | {"operations": {"broken": {"action": "sent"}}}
    assert not schema.is_valid(broken), "it checks nothing"


def references(part: object) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [ref for one in part.values() for ref in references(one)]
    return [ref for one in part for ref in references(one)] if isinstance(part, list) else []


def test_every_reference_leads_somewhere() -> None:
    for reference in references(document()):
        place = document()
        for word in reference.removeprefix("#/").split("/"):
            assert word in place, reference
            place = place[word]


def test_every_message_travels_in_a_stated_direction() -> None:
    carried = {(channel.key, name) for channel in channels().values() for name in channel.messages}
    stated = set()
    for operation in document()["operations"].values():
        channel = operation["channel"]["$ref"].rpartition("/")[2]
        listed = [one["$ref"].rpartition("/")[2] for one in operation.get("messages", [])]
        stated |= {(channel, name) for name in listed or channels()[channel].messages}
    assert stated == carried
    assert {name for _, name in carried} == messages().keys()


@pytest.mark.parametrize("name", examples())
def test_every_example_fits_its_schema(name: str) -> None:
    check_schema(name, examples()[name])


def test_the_pages_show_every_example_as_it_is() -> None:
    shown = [name for page in pages() for name in names_in(page.read_text())]
    assert sorted(shown) == sorted(examples()), "once each"
    for page in pages():
        text = page.read_text()
        assert text == filled(text), f"{page.name} is behind: python -m tests.protocols.pages"


def test_the_pages_name_every_address() -> None:
    text = "\n".join(page.read_text() for page in pages())
    for channel in channels().values():
        words = channel.address.removeprefix("gw/1/").removeprefix("{moduleId}/")
        address = re.sub(r"\{(\w+)\}", r"<\1>", words)
        assert f"`{address}`" in text, f"no page has `{address}`"


def test_the_pages_list_every_alias() -> None:
    ways = {"up": "to the gateway", "down": "from the gateway"}
    rows = [(one.dialect, ways[one.direction], one.documented, one.alias) for one in ALIASES]
    assert ALIAS.findall((DOCS / "protocols.md").read_text()) == rows
    addresses = {channel.address for channel in channels().values()}
    assert {name for _, _, *names in rows for name in names} <= addresses


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]:
        for target, _ in LINK.findall(CODE.sub("", page.read_text())):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_lists_every_setting() -> None:
    rows = dict(SETTING.findall((DOCS.parent / "README.md").read_text()))
    fields = Settings.model_fields.items()
    assert rows == {f"PASSERELLE_{name.upper()}": field.description for name, field in fields}


def test_every_dialect_has_its_conversation() -> None:
    for dialect in {channel.dialect for channel in channels().values()}:
        assert ".complete()" in (HERE / f"test_{dialect}.py").read_text(), dialect
