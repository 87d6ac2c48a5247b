"""Secrets at rest: encrypted with a key that is derived from the one that signs sessions."""

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12


class Seal:
    """`purpose` separates keys: what was sealed for one cannot be opened for another."""

    def __init__(self, signing_key: str, purpose: str) -> None:
        derived = HKDF(SHA256(), 32, None, f"passerelle {purpose}".encode())
        self._cipher = AESGCM(derived.derive(signing_key.encode()))

    def close(self, secret: str) -> str:
        """Text to keep; empty stays empty."""
        if not secret:
            return ""
        nonce = os.urandom(NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, secret.encode(), None)).decode()

    def open(self, sealed: str) -> str | None:
        """The secret; None when it was sealed with another key, or is no seal at all."""
        if not sealed:
            return ""
        try:
            whole = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(whole[:NONCE_BYTES], whole[NONCE_BYTES:], None).decode()
        except (InvalidTag, ValueError, binascii.Error):
            return None
