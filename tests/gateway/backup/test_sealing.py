"""The encrypted stream: back as it was, or refused; no bit, piece or end can be missing unnoticed."""

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.backup import sealing
from gateway.backup.sealing import CHUNK, MAGIC, TAG, Opened, sealed
from gateway.core.errors import Invalid

PASSPHRASE = "correct horse battery staple"
HEAD, PIECE = len(MAGIC) + 26, CHUNK + TAG


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work that makes guessing dear is not what is looked at here."""
    monkeypatch.setattr(sealing, "_LOG_N", 4)
    monkeypatch.setattr(sealing, "_P", 1)


def seal(plain: bytes) -> bytes:
    return b"".join(sealed([plain], PASSPHRASE))


def unseal(file: bytes, passphrase: str = PASSPHRASE) -> bytes:
    opened, found = Opened(BytesIO(file), passphrase), b""
    while piece := opened.read(100_000):
        found += piece
    return found


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7])
def test_what_went_in_comes_out(size: int) -> None:
    plain = bytes(index % 251 for index in range(size))
    assert unseal(seal(plain)) == plain


def test_however_it_is_cut_when_it_goes_in() -> None:
    parts = [b"a" * 100, b"", b"b" * CHUNK, b"c" * (2 * CHUNK + 1), b"d"]
    assert unseal(b"".join(sealed(parts, PASSPHRASE))) == b"".join(parts)


def test_two_of_the_same_differ() -> None:
    assert seal(b"the same") != seal(b"the same")


def test_a_wrong_passphrase_is_told() -> None:
    with pytest.raises(Invalid, match="passphrase is wrong"):
        unseal(seal(b"x" * CHUNK * 2), "another")


@given(at=st.integers(0, 10**9), bit=st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_no_bit_changes_unnoticed(at: int, bit: int) -> None:
    file = bytearray(seal(b"x" * (CHUNK + 10)))
    file[at % len(file)] ^= 1 << bit
    with pytest.raises(Invalid):
        unseal(bytes(file))


@pytest.mark.parametrize("left", [0, 5, HEAD - 1, HEAD, HEAD + 1, HEAD + PIECE, HEAD + PIECE + 1, -1])
def test_no_end_is_cut_off_unnoticed(left: int) -> None:
    with pytest.raises(Invalid):
        unseal(seal(b"x" * (CHUNK * 2 + 10))[:left])


def test_pieces_are_neither_swapped_nor_doubled_nor_added() -> None:
    file = seal(b"x" * CHUNK * 3)
    head = file[:HEAD]
    first, second, third = (file[HEAD + at * PIECE : HEAD + (at + 1) * PIECE] for at in range(3))
    assert unseal(head + first + second + third)
    for wrong in (second + first + third, first + first + second + third, first + third, file[HEAD:] + b"x"):
        with pytest.raises(Invalid):
            unseal(head + wrong)


@pytest.mark.parametrize("fields", [(31, 8, 1), (15, 255, 1), (15, 8, 255), (0, 8, 1), (15, 0, 1)])
def test_a_file_cannot_ask_for_all_memory(fields: tuple[int, int, int]) -> None:
    file = MAGIC + bytes(fields) + bytes(23) + bytes(100)
    with pytest.raises(Invalid, match="altered"):
        Opened(BytesIO(file), PASSPHRASE)


@pytest.mark.parametrize("file", [b"", b"\0" * 100, b"SQLite format 3\0" + bytes(100), MAGIC])
def test_another_file_is_no_backup(file: bytes) -> None:
    with pytest.raises(Invalid, match="no backup"):
        Opened(BytesIO(file), PASSPHRASE)
