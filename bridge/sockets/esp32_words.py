"""What ESP32 firmware says and is told on `/esp32`: JSON texts to values and back, nothing else."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core import clock
from gateway.core.errors import Invalid
from gateway.core.types import ModuleType, Types
from gateway.core.values import Command

# ArduinoJson reads into a buffer of this size in the firmware that exists.
MAX_FRAME = 15 * 1024
MAX_DEPTH = 8
GENERIC = 7
PROTOCOL_WORDS = frozenset({"type", "moduleId", "password", "token", "moduleType", "timestamp"})
# Readings stand flat in a message, or in objects of these names.
WRAPPERS = frozenset({"data", "telemetry", "payload", "values"})
ANSWER_WORDS = PROTOCOL_WORDS | {"command", "status", "id"}
ANSWERS = {
    "success": "done",
    "ok": "done",
    "done": "done",
    "completed": "done",
    "accepted": "accepted",
    "error": "failed",
    "failed": "failed",
    "failure": "failed",
    "rejected": "rejected",
    "unknown": "rejected",
    "unknown_command": "rejected",
}
# What firmware in the field calls its kind, where that is neither a type's name nor its suffix.
FIELD_NAMES = {
    "led": 0,
    "switch": 2,
    "lightfx": 3,
    "lights": 3,
    "launch": 4,
    "smoke": 5,
    "audio": 6,
}


class Answer(msgspec.Struct, frozen=True):
    """A module's word on a command: by its id, by its name, or on the one that is under way."""

    id: str | None
    command: str | None
    status: str
    result: Any
    error: str | None


def parse(text: str) -> dict[str, Any]:
    """A message; raises `Invalid` for what is no JSON object, or is nested beyond reason."""
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Invalid("This is no JSON.") from None
    if not isinstance(message, dict) or not _is_shallow(message, MAX_DEPTH):
        raise Invalid("A message is a JSON object of at most %(max_depth)s levels.", max_depth=MAX_DEPTH)
    return message


def _is_shallow(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(one, levels - 1) for one in inner)


def text_of(message: Mapping[str, Any], key: str) -> str:
    """The text under a key; empty when there is none."""
    value = message.get(key)
    return value if isinstance(value, str) else ""


def readings(message: Mapping[str, Any]) -> dict[str, Any]:
    """Every key that is not of the protocol, those in wrapping objects too."""
    found: dict[str, Any] = {}
    for key, value in message.items():
        if key in WRAPPERS and isinstance(value, dict):
            found |= {inner: reading for inner, reading in value.items() if inner not in PROTOCOL_WORDS}
        elif key not in PROTOCOL_WORDS:
            found[key] = value
    return found


def declared(message: Mapping[str, Any], known: ModuleType, *, without: frozenset[str]) -> dict[str, Any]:
    """Those readings of a message with another purpose that its type declares by name."""
    return {
        key: value for key, value in readings(message).items() if key in known.keys and key not in without
    }


def type_of(types: Types, word: object, module_id: str) -> int:
    """The type a newcomer means: by number, name, suffix or field name; else by its id; else generic."""
    by_id = types.of_suffix(module_id)
    fallback = by_id.code if by_id is not None else GENERIC
    codes = {known.code for known in types.all()}
    if isinstance(word, int):
        return word if word in codes and not isinstance(word, bool) else fallback
    folded = _folded(word) if isinstance(word, str) else ""
    names = FIELD_NAMES | {str(code): code for code in codes}
    for known in types.all():
        names |= {_folded(name): known.code for name in (known.suffix, known.name) if name}
    return names.get(folded, fallback)


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name[:64].lower())


def answer(message: Mapping[str, Any]) -> Answer | None:
    """None when its status is a word that says nothing of the command."""
    said = message.get("status", "failed" if message.get("error") else "done")
    status = ANSWERS.get(said.lower()) if isinstance(said, str) else None
    if status is None:
        return None
    rest = {key: value for key, value in message.items() if key not in ANSWER_WORDS}
    failed = status in ("failed", "rejected")
    return Answer(
        id=_id(message.get("id")),
        command=text_of(message, "command") or None,
        status=status,
        result=(rest["result"] if rest.keys() == {"result"} else rest) or None,
        error=_sentence(message) if failed else None,
    )


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _sentence(message: Mapping[str, Any]) -> str:
    said = next((message[key] for key in ("error", "message", "reason") if message.get(key)), None)
    if said is None:
        return "The module gave no reason."
    return said if isinstance(said, str) else msgspec.json.encode(said).decode()


def command_frame(command: Command) -> str | None:
    """One frame that every firmware understands; None when it is too big for them.

    They look for the command at `data`, `payload` or the top, for parameters beside it or under `params`.
    """
    name, params = command.name, command.params
    frame = {
        "type": "command",
        "command": name,
        "params": params,
        "data": {**params, "command": name, "moduleId": command.module_id, "params": params},
        "payload": {"command": name, "params": params},
        "timestamp": clock.now_ms(),
        "id": command.id,
    }
    encoded = msgspec.json.encode(frame)
    return encoded.decode() if len(encoded) < MAX_FRAME else None


def greeting(latest: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """Both words for "you are in"; what the gateway remembers goes along as far as there is room."""
    state: dict[str, Any] = {}
    welcome = {"type": "connected", "status": "authenticated", "initialState": state}
    room = MAX_FRAME - len(msgspec.json.encode(welcome)) - len(',"settings":{}')
    kept = _as_fits(settings, room)
    room -= sum(map(_size, kept.items()))
    state |= _as_fits(latest, room)
    if kept:
        state["settings"] = kept
    return [msgspec.json.encode(welcome).decode(), '{"type":"auth_success"}']


def _as_fits(values: Mapping[str, Any], room: int) -> dict[str, Any]:
    fitting: dict[str, Any] = {}
    for item in values.items():
        room -= _size(item)
        if room <= 0:
            break
        fitting[item[0]] = item[1]
    return fitting


def _size(item: tuple[str, Any]) -> int:
    # As a list of two it is one byte longer than as a key and a value with a comma.
    return len(msgspec.json.encode(item))
