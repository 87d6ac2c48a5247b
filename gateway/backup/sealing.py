"""A stream encrypted with a passphrase, piece by piece: scrypt, then AES-256-GCM.

The file: MAGIC, log2(n), r, p (a byte each), 16 bytes of salt, 7 of nonce; then pieces of CHUNK bytes, each
with its tag of 16. A piece's nonce holds its number and whether it is the last, and all of them vouch for the
header: nothing can be changed, swapped, left out or cut off unnoticed.
"""

import io
import os
import struct
from collections.abc import Iterable, Iterator
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from gateway.core.errors import Invalid

MAGIC = b"PASSERELLE-BACKUP-1\n"
CHUNK = 256 * 1024
TAG = 16
_HEADER = struct.Struct(">BBB16s7s")
# 32 MB of memory and about a third of a second; a Pi can do it.
_LOG_N, _R, _P = 15, 8, 3
# What a file may ask of us before we know that it is ours.
_MOST_LOG_N, _MOST_R, _MOST_P = 17, 8, 8
_MOST_PIECES = 2**32 - 1


def sealed(plain: Iterable[bytes], passphrase: str) -> Iterator[bytes]:
    """The encrypted file of `plain`, in pieces."""
    fields = (_LOG_N, _R, _P, os.urandom(16), os.urandom(7))
    header = MAGIC + _HEADER.pack(*fields)
    cipher = _cipher(passphrase, fields)
    yield header
    waiting = bytearray()
    number = 0
    for part in plain:
        waiting += part
        # The last piece must be known as such, so one is always held back.
        while len(waiting) > CHUNK:
            yield cipher.encrypt(_nonce(fields[4], number, False), bytes(waiting[:CHUNK]), header)
            del waiting[:CHUNK]
            number += 1
    yield cipher.encrypt(_nonce(fields[4], number, True), bytes(waiting), header)


class Opened(io.BufferedIOBase):
    """What is in an encrypted file, to be read from the beginning to the end.

    Raises `Invalid` where the passphrase is wrong or the file is not as it was written.
    """

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        self._file = file
        head = file.read(len(MAGIC) + _HEADER.size)
        if not head.startswith(MAGIC) or len(head) != len(MAGIC) + _HEADER.size:
            raise Invalid("This file is no backup of Passerelle.")
        fields = _HEADER.unpack(head[len(MAGIC) :])
        log_n, r, p = fields[:3]
        if not (1 <= log_n <= _MOST_LOG_N and 1 <= r <= _MOST_R and 1 <= p <= _MOST_P):
            raise Invalid("This backup was altered, or another version made it.")
        self._header = head
        self._prefix = fields[4]
        self._cipher = _cipher(passphrase, fields)
        self._number = 0
        self._plain = b""
        self._next = file.read(CHUNK + TAG)
        self._ended = False

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes; fewer only at the end."""
        if size is None or size < 0:
            raise io.UnsupportedOperation("a backup is read piece by piece")
        found = bytearray()
        while len(found) < size:
            if not self._plain:
                if self._ended:
                    break
                self._plain = self._piece()
                continue
            wanted = size - len(found)
            found += self._plain[:wanted]
            self._plain = self._plain[wanted:]
        return bytes(found)

    def finish(self) -> None:
        """Read what is left, so that a file which was cut off or added to is noticed."""
        while self.read(CHUNK):
            pass

    def _piece(self) -> bytes:
        piece, self._next = self._next, self._file.read(CHUNK + TAG)
        self._ended = not self._next
        nonce = _nonce(self._prefix, self._number, self._ended)
        self._number += 1
        try:
            return self._cipher.decrypt(nonce, piece, self._header)
        except (InvalidTag, ValueError):
            if self._number == 1:
                raise Invalid("The passphrase is wrong, or the backup was altered.") from None
            raise Invalid("The backup is cut off or was altered.") from None


def _cipher(passphrase: str, fields: tuple[int, int, int, bytes, bytes]) -> AESGCM:
    log_n, r, p, salt, _ = fields
    return AESGCM(Scrypt(salt=salt, length=32, n=2**log_n, r=r, p=p).derive(passphrase.encode()))


def _nonce(prefix: bytes, number: int, last: bool) -> bytes:
    if number > _MOST_PIECES:
        raise Invalid("This is more than one backup can hold.")
    return prefix + struct.pack(">IB", number, last)
