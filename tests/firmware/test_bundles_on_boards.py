"""The gateway and the boards read a bundle with two readers: they must agree on what is one."""

import asyncio
import importlib
import io
import os
import shutil
import sys
import tarfile
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware import bundles
from gateway.core.errors import Invalid

DEVICE = Path(__file__).resolve().parents[2] / "firmware" / "device"


@pytest.fixture(scope="module")
def board():
    """The file that runs on boards, on this Python."""
    sys.path.insert(0, str(DEVICE))
    try:
        yield importlib.import_module("passerelle.bundle")
    finally:
        sys.path.remove(str(DEVICE))


def the_gateway_takes(data):
    try:
        bundles.in_memory(data)
    except Invalid:
        return False
    return True


def unpacked(board, data, folder):
    """What a board has afterwards, path to bytes; None when it refuses."""
    folder.mkdir(exist_ok=True)
    shutil.rmtree(folder / "slot", ignore_errors=True)
    (folder / "bundle").write_bytes(data)
    try:
        asyncio.run(board.unpack(str(folder / "bundle"), str(folder / "slot")))
    except (board.Unfit, OSError):
        return None
    return {
        path.relative_to(folder / "slot").as_posix(): path.read_bytes()
        for path in (folder / "slot").rglob("*")
        if path.is_file()
    }


def test_the_limits_are_the_same(board):
    pairs = ((bundles.MAX_FILES, board.MOST_FILES), (bundles.MAX_MANIFEST, board.MOST_MANIFEST),
             (bundles.MAX_PATH, board.LONGEST_PATH), (bundles.MAX_DEPTH, board.DEEPEST))  # fmt: skip
    assert all(ours == theirs for ours, theirs in pairs), pairs


PARTS = st.one_of(
    st.sampled_from(["a", "lib", "main.py", ".x", "A", "x.y_z-1"]), st.text("ab._-", min_size=1)
)
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
FILES = st.dictionaries(PATHS, st.binary(max_size=1200), max_size=6)


@given(FILES)
@settings(max_examples=100, deadline=None)
def test_what_the_gateway_packs_a_board_unpacks(board, tmp_path_factory, files):
    files = {"main.py": b"pass\n"} | files
    try:
        data = bundles.make_bundle(files, "x", "1")
    except Invalid:
        return
    assert the_gateway_takes(data)
    assert unpacked(board, data, tmp_path_factory.getbasetemp() / "board packed") == files


ODD_PATHS = st.sampled_from(
    [
        "main.py",
        "../x",
        "/x",
        "a//b",
        "a/b/c/d/e",
        "a b",
        "x\n",
        "é",
        ".",
        "..",
        "manifest.json",
        "",
        "lib",
        "a" * 101,
    ]
)
KINDS = st.sampled_from(
    [tarfile.REGTYPE] * 5 + [tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]
)
MEMBERS = st.lists(st.tuples(st.one_of(PATHS, ODD_PATHS), KINDS, st.binary(max_size=700)), max_size=5)
FORMS = st.sampled_from([tarfile.USTAR_FORMAT] * 4 + [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


def packed(members, lies, form, behind):
    listed = {
        name: {"size": len(data), "sha256": sha256(data).hexdigest()} for name, _, data in members
    } | lies
    manifest = msgspec.json.encode({"format": 1, "name": "x", "version": "1", "files": listed})
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, kind, data in [("manifest.json", tarfile.REGTYPE, manifest), *members]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "main.py"
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return out.getvalue() + behind


LIES = st.dictionaries(
    PATHS, st.fixed_dictionaries({"size": st.integers(0, 5), "sha256": st.just("0" * 64)}), max_size=1
)


@given(MEMBERS, st.one_of(st.just({}), LIES), FORMS, st.sampled_from([b"", b"", bytes(512), b"x"]))
@settings(max_examples=300, deadline=None)
def test_what_the_gateway_takes_a_board_takes(board, tmp_path_factory, members, lies, form, behind):
    """And never more than the manifest lists, nor outside its folder."""
    try:
        data = packed([("main.py", tarfile.REGTYPE, b"pass\n"), *members], lies, form, behind)
    except ValueError:
        return  # not to be said in this form of tar
    folder = tmp_path_factory.getbasetemp() / "board"
    before = set(os.listdir(tmp_path_factory.getbasetemp()))
    found = unpacked(board, data, folder)
    if the_gateway_takes(data):
        assert found is not None
        assert set(found) == set(bundles.in_memory(data).files)
    assert set(os.listdir(folder)) <= {"bundle", "slot"}
    assert set(os.listdir(tmp_path_factory.getbasetemp())) - before <= {"board"}
