"""Who vouches for an image: Ed25519 over what an image is, by the gateway's own key or a vendor's."""

import asyncio
import base64
import binascii
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from firmware.keyfile import kept_key
from firmware.values import Image
from gateway.core import audit
from gateway.core.errors import Conflict, Forbidden, Full, Invalid, NotFound
from gateway.core.events import Hub
from gateway.core.rights import Person, may_administer, name_of
from gateway.storage.models import SettingRow, upsert
from gateway.storage.store import Store

GATEWAY = "gateway"
KEY_FILE = "firmware.key"
SETTING = "firmware.policy"
MAX_KEYS = 20
KEY_BYTES, SIGNATURE_BYTES = 32, 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}")


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """`require_vendor`: only images that a vendor's key has signed are assigned. `keys`: name to base64."""

    require_vendor: bool = False
    keys: dict[str, str] = {}

    def vendor_of(self, image: Image) -> str | None:
        """The vendor whose key, as it is now, fits the image's signature."""
        return self.vendor(message_of(image), image.signature)

    def vendor(self, message: bytes, signature: str) -> str | None:
        return next((name for name, key in self.keys.items() if fits(key, message, signature)), None)


class Signing:
    def __init__(self, store: Store, hub: Hub, folder: Path) -> None:
        self._store = store
        self._hub = hub
        self._path = folder / KEY_FILE
        self._changing = asyncio.Lock()
        self.policy = Policy()
        self.public_key = ""

    async def load(self) -> None:
        """The policy, and the gateway's key, made on first use; raises `Invalid` for a broken key file."""
        self._key: Ed25519PrivateKey = await asyncio.to_thread(kept_key, self._path)
        raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        self.public_key = base64.b64encode(self._key.public_key().public_bytes(*raw)).decode()
        row = await self._store.run(lambda: SettingRow.get_or_none(SettingRow.key == SETTING))
        if row is not None:
            self.policy = msgspec.json.decode(row.value, type=Policy)

    @property
    def keys(self) -> dict[str, str]:
        """The vendors' public keys, base64, by name."""
        return dict(self.policy.keys)

    def sign(self, message: bytes) -> str:
        return base64.b64encode(self._key.sign(message)).decode()

    def who_signed(self, message: bytes, signature: str) -> str | None:
        """`gateway`, or the vendor's name; None when no key that we know fits."""
        if fits(self.public_key, message, signature):
            return GATEWAY
        return self.policy.vendor(message, signature)

    def vouches(self, image: Image) -> str | None:
        """Who, by the keys that are trusted now; `image.signed_by` says who it was when it came in."""
        return self.who_signed(message_of(image), image.signature)

    async def set_policy(self, require_vendor: bool, by: Person | str) -> Policy:
        _check_admin(by)
        if not isinstance(require_vendor, bool):
            raise Invalid("`require_vendor` is true or false.")
        async with self._changing:
            if require_vendor == self.policy.require_vendor:
                return self.policy
            after = msgspec.structs.replace(self.policy, require_vendor=require_vendor)
            await self._change(after, "firmware.policy", SETTING, by, require_vendor=require_vendor)
        return self.policy

    async def add_key(self, name: str, public_key: str, by: Person | str) -> None:
        """Trust a vendor's Ed25519 public key (32 bytes as base64, or PEM)."""
        _check_admin(by)
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name.lower() == GATEWAY:
            raise Invalid("A vendor's name has 1 to 64 letters, digits and . _ - and is not `gateway`.")
        key = _public_key(public_key)
        async with self._changing:
            self._check_new(name, key)
            after = msgspec.structs.replace(self.policy, keys=self.policy.keys | {name: key})
            await self._change(after, "firmware.key_add", name, by, public_key=key)

    def _check_new(self, name: str, key: str) -> None:
        if len(self.policy.keys) >= MAX_KEYS:
            raise Full("There are %(max_keys)s vendors' keys already; remove one first.", max_keys=MAX_KEYS)
        for other, known in {GATEWAY: self.public_key, **self.policy.keys}.items():
            if other.lower() == name.lower():
                raise Conflict(
                    "There is a key %(other)r already; remove it before you add its successor.", other=other
                )
            if known == key:
                raise Conflict("This is the key of %(other)r already.", other=other)

    async def remove_key(self, name: str, by: Person | str) -> None:
        """Trust it no longer; images that it signed stay, and are said to be signed by nobody we know."""
        _check_admin(by)
        async with self._changing:
            if name not in self.policy.keys:
                raise NotFound("There is no vendor's key %(name)r.", name=name[:64])
            keys = {known: key for known, key in self.policy.keys.items() if known != name}
            after = msgspec.structs.replace(self.policy, keys=keys)
            await self._change(after, "firmware.key_remove", name, by, public_key=self.policy.keys[name])

    async def _change(
        self, after: Policy, action: str, subject: str, by: Person | str, **details: Any
    ) -> None:
        def work() -> None:
            upsert(SettingRow, [{"key": SETTING, "value": msgspec.json.encode(after).decode()}])
            audit.write(action, subject, name_of(by), **details)

        await self._store.run(work)
        self.policy = after
        self._hub.acted(action, subject, by, **details)


def canonical(digest: str, type: int, version: str, hardware: tuple[str, ...]) -> bytes:
    """What is signed: `digest` is hexadecimal, hardware names sorted and joined with commas.

    None of it can hold a line break (the catalogue sees to that), so no two images share a message.
    """
    lines = ["passerelle image 1", digest, str(type), version, ",".join(sorted(hardware))]
    return ("\n".join(lines) + "\n").encode()


def message_of(image: Image) -> bytes:
    return canonical(image.digest, image.type, image.version, image.hardware)


@lru_cache(maxsize=512)
def fits(public_key: str, message: bytes, signature: str) -> bool:
    """Whether the signature (base64) over `message` is by this key (base64)."""
    raw = _decoded(signature)
    if len(raw) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(_decoded(public_key)).verify(raw, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _decoded(text: str) -> bytes:
    """Bytes of base64; none when it is no base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _public_key(text: str) -> str:
    """Base64 of the 32 bytes, whatever form the key came in."""
    try:
        raw = _decoded("".join(text.split()))
        if "BEGIN PUBLIC KEY" in text:
            key = serialization.load_pem_public_key(text.encode())
            raw = key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else b""
        Ed25519PublicKey.from_public_bytes(raw)
    except (ValueError, TypeError, AttributeError):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise Invalid("A vendor's key is an Ed25519 public key: 32 bytes in base64, or a PEM file.")
    return base64.b64encode(raw).decode()


def _check_admin(by: Person | str) -> None:
    if isinstance(by, Person) and not may_administer(by):
        raise Forbidden("Only an admin decides whose images are trusted.")
