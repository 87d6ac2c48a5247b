"""What a person says of an image when it comes in, checked."""

import re
from contextlib import suppress

import msgspec

from gateway.core.errors import Invalid, NotFound
from gateway.core.types import Types

MAX_HARDWARE = 16
MAX_NOTES = 4000
MAX_SIGNATURE = 200
# None of these lets a line break in: they enter what is signed.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_HARDWARE = re.compile(r"[a-z0-9_.-]{1,32}")


class Facts(msgspec.Struct, frozen=True):
    """`hardware`: names it is for, none: any. `min_version`: what a module must run at least before.

    `signature`: base64 of Ed25519 over `signing.canonical`; empty: the gateway signs.
    """

    serial: str
    version: str
    type: int
    notes: str = ""
    hardware: tuple[str, ...] = ()
    min_version: str = ""
    signature: str = ""


def checked(facts: Facts, types: Types) -> Facts:
    """The same, in one spelling; raises `Invalid` with a sentence."""
    facts = msgspec.structs.replace(
        facts,
        hardware=tuple(sorted({name.strip().lower() for name in facts.hardware if name.strip()})),
        notes=facts.notes.replace("\r\n", "\n"),
        signature="".join(facts.signature.split()),
    )
    for what, text in (("serial", facts.serial), ("version", facts.version)):
        _check_name(what, text)
    if facts.min_version:
        _check_name("minimum version", facts.min_version)
    _check_type(facts.type, types)
    if len(facts.hardware) > MAX_HARDWARE:
        raise Invalid("An image names at most %(max_hardware)s kinds of hardware.", max_hardware=MAX_HARDWARE)
    for name in facts.hardware:
        if not _HARDWARE.fullmatch(name):
            raise Invalid(
                "%(name)r is no hardware name: 1 to 32 small letters, digits and _ . -", name=name[:40]
            )
    _check_texts(facts)
    return facts


def _check_type(type: object, types: Types) -> None:
    if isinstance(type, int) and not isinstance(type, bool):
        with suppress(NotFound):
            types.get(type)
            return
    raise Invalid("There is no module type %(type)s.", type=str(type)[:20])


def _check_name(what: str, text: str) -> None:
    if not _NAME.fullmatch(text):
        raise Invalid(
            "The %(what)s %(text)r must be 1 to 64 letters, digits and . _ + - and begin with a "
            "letter or digit.",
            what=what,
            text=text[:70],
        )


def _check_texts(facts: Facts) -> None:
    if len(facts.notes) > MAX_NOTES or "\0" in facts.notes:
        raise Invalid("The notes have at most %(max_notes)s characters.", max_notes=MAX_NOTES)
    if len(facts.signature) > MAX_SIGNATURE:
        raise Invalid("The signature is 64 bytes in base64.")
