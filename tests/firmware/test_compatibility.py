"""What speaks against an image on a module, each in a sentence that names both."""

import base64
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from firmware.compatibility import chip_of, is_of, obstacles
from firmware.signing import Policy, message_of
from firmware.values import Header, Image
from firmware.versions import newer_or_equal
from gateway.core.values import Module

IMAGE = Image(
    id=1, serial="app-2", version="2.0", type=7, digest="a" * 64, md5="b" * 32, size=1_000_000,
    header=Header(), created_at_ms=0, by="tom",
)  # fmt: skip
MODULE = Module(
    id="MC-1", number=1, uuid="u", name="", location="", type=7, life="approved", created_at_ms=0,
    hardware="esp32-s3-devkit",
)  # fmt: skip
VENDOR = Ed25519PrivateKey.generate()
POLICY = Policy()


def header(**said):
    return replace(IMAGE, header=Header(kind="esp32", **said))


def against(image=IMAGE, module=MODULE, policy=POLICY, runs="1.0"):
    return obstacles(image, module, policy, runs)


def test_nothing_speaks_against_what_fits():
    assert against() == []


@pytest.mark.parametrize(
    ("image", "module", "words"),
    [
        (IMAGE, replace(MODULE, type=1), "type 7, and MC-1 is of type 1"),
        (replace(IMAGE, hardware=("board",)), MODULE, "is for board only, and MC-1 is 'esp32-s3-devkit'"),
        (replace(IMAGE, hardware=("board",)), replace(MODULE, hardware=""), "has not said what hardware"),
        (header(chip="esp32-c3"), MODULE, "built for esp32-c3, and MC-1 has an esp32-s3"),
        (header(chip="esp32"), MODULE, "built for esp32, and MC-1 has an esp32-s3"),
        (header(chip="esp8266"), replace(MODULE, hardware="ESP32"), "has an esp32"),
        (
            header(flash_size=8 << 20),
            replace(MODULE, information={"flash_size": 4 << 20}),
            "8 MB of flash.*4 MB",
        ),
        (header(flash_size=8 << 20), replace(MODULE, information={"flash": "4MB"}), "8 MB of flash.*4 MB"),
        (IMAGE, replace(MODULE, information={"flash_size": 524288}), "1 MB of flash.*0.5 MB"),
        (header(details={"whole_flash": True}), MODULE, "whole flash"),
        (replace(IMAGE, min_version="1.5"), MODULE, "version 1.5 or later on MC-1; it runs 1.0"),
        (IMAGE, MODULE, ""),
    ],
)
def test_each_mismatch_has_its_sentence(image, module, words):
    found = against(image, module)
    assert len(found) == bool(words)
    if words:
        assert found[0].startswith("app-2") and found[0].endswith(".")
        assert re.search(words, found[0]), found[0]


def test_all_mismatches_are_said_at_once():
    image = replace(header(chip="esp32-c3"), type=1, min_version="3", hardware=("board",))
    assert len(against(image)) == 4


@pytest.mark.parametrize(
    "information",
    [{}, {"flash_size": "much"}, {"flash_size": None}, {"flash_size": True}, {"flash_size": [1]},
     {"flash_size": -5}, {"flash": "9" * 40}],
)  # fmt: skip
def test_what_a_module_did_not_say_in_a_known_way_speaks_against_nothing(information):
    module = replace(MODULE, hardware="", information=information)
    assert against(header(chip="esp32-c3", flash_size=8 << 20), module) == []


def test_a_minimum_demands_that_the_running_version_is_known():
    image = replace(IMAGE, min_version="1.5")
    assert "not known" in against(image, runs=None)[0]
    assert against(image, runs="1.5") == against(image, runs="1.10") == []
    assert against(image, runs="1.4.9") != []


@pytest.mark.parametrize(
    ("hardware", "name", "fits"),
    [
        ("board", "board", True), ("Board-rev2", "board", True), ("board_rev2", "BOARD", True),
        ("board2", "board", False), ("boar", "board", False), ("my-board", "board", False),
        ("", "board", False),
        ("esp32-s3", "esp32", False), ("esp32-s3", "esp32-s3", True), ("esp32-s3-devkit", "esp32-s3", True),
        ("esp32-devkit", "esp32", True), ("esp32", "esp32-s3", False),
    ],
)  # fmt: skip
def test_hardware_by_name(hardware, name, fits):
    assert is_of(hardware, name) is fits


@pytest.mark.parametrize(
    ("hardware", "chip"),
    [("ESP32S3_DevKit", "esp32-s3"), ("esp32 rev 3", "esp32"), ("ESP32-C61", "esp32-c61"), ("d1 mini", ""),
     ("esp8266", "esp8266"), ("", "")],
)  # fmt: skip
def test_chips_in_hardware_names(hardware, chip):
    assert chip_of(hardware) == chip


# Signatures


def key_of(private):
    return base64.b64encode(private.public_key().public_bytes_raw()).decode()


def signed(private, image=IMAGE, by="acme"):
    signature = base64.b64encode(private.sign(message_of(image))).decode()
    return replace(image, signature=signature, signed_by=by)


def test_only_a_vendors_image_where_that_is_demanded():
    strict = Policy(require_vendor=True, keys={"acme": key_of(VENDOR)})
    assert against(signed(VENDOR), policy=strict) == []
    assert "signed by 'gateway'" in against(replace(IMAGE, signed_by="gateway"), policy=strict)[0]
    assert "'nobody'" in against(policy=strict)[0]


def test_key_swap_and_mix_and_match():
    """The Update Framework's list: a swapped key, and a good signature on something else."""
    image = signed(VENDOR)
    for keys in ({}, {"acme": key_of(Ed25519PrivateKey.generate())}):
        assert "signed by 'acme'" in against(image, policy=Policy(require_vendor=True, keys=keys))[0]
    strict = Policy(require_vendor=True, keys={"acme": key_of(VENDOR)})
    for changes in ({"version": "1.0"}, {"digest": "c" * 64}, {"hardware": ("esp32-s3",)}):
        assert against(replace(image, **changes), policy=strict) != []
    assert strict.vendor_of(replace(image, type=1)) is None


# Versions

ORDER = [
    "",
    "0.9",
    "1.0-alpha",
    "1.0-beta2",
    "1.0-beta10",
    "1.0-rc1",
    "1.0",
    "1.0a",
    "1.0.1",
    "1.2",
    "1.10",
    "2",
]


@pytest.mark.parametrize("place", range(len(ORDER)))
def test_versions_in_their_natural_order(place):
    for other, version in enumerate(ORDER):
        assert newer_or_equal(version, ORDER[place]) is (other >= place), (version, ORDER[place])


@pytest.mark.parametrize("same", [("1.2", "v1.2"), ("1.2", "1.2.0"), ("1.2+build5", "1.2"), ("1.02", "1.2")])
def test_the_same_version_in_two_spellings(same):
    assert newer_or_equal(*same) and newer_or_equal(*reversed(same))


def test_a_build_after_a_release_is_later():
    assert newer_or_equal("1.2-3-g12ab34c", "1.2") and not newer_or_equal("1.2", "1.2-3-g12ab34c")


@given(st.text(max_size=64), st.text(max_size=64), st.text(max_size=64))
def test_any_two_versions_have_an_order(a, b, c):
    assert newer_or_equal(a, a)
    assert newer_or_equal(a, b) or newer_or_equal(b, a)
    if newer_or_equal(a, b) and newer_or_equal(b, c):
        assert newer_or_equal(a, c)
