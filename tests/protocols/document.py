"""docs/asyncapi.yaml, read: its channels, and the examples of its messages by name."""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonschema_rs import Draft7Validator

DOCS = Path(__file__).resolve().parents[2] / "docs"
PATH = DOCS / "asyncapi.yaml"


class Channel(NamedTuple):
    """`address` is the topic, event or path; `dialect` the channel's one tag."""

    key: str
    address: str
    dialect: str
    messages: tuple[str, ...]


@cache
def document() -> dict[str, Any]:
    return yaml.safe_load(PATH.read_text())


@cache
def channels() -> dict[str, Channel]:
    return {
        key: Channel(key, one["address"], one["tags"][0]["name"], tuple(one["messages"]))
        for key, one in document()["channels"].items()
    }


def messages() -> dict[str, Any]:
    return document()["components"]["messages"]


@cache
def examples() -> dict[str, Any]:
    """The payloads by `message`, or `message name` where a message has several."""
    return {
        f"{key} {example['name']}" if "name" in example else key: example["payload"]
        for key, message in messages().items()
        for example in message["examples"]
    }


@cache
def validator(message: str) -> Draft7Validator:
    """For payloads of this message; the document's schemas are found by its references."""
    return Draft7Validator(messages()[message]["payload"] | {"components": document()["components"]})
