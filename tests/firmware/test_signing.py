"""Whose images are trusted: the gateway's key in its file, the vendors' in the policy."""

import base64
import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from firmware.signing import Signing, canonical
from gateway.core.errors import Conflict, Forbidden, Full, Invalid, NotFound
from gateway.storage.models import SettingRow
from tests.gateway.core.heart import ADMIN, TECHNICIAN, open_heart, raises

pytestmark = pytest.mark.anyio
MESSAGE = canonical("a" * 64, 7, "1.2.0", ("esp32-s3", "board"))


@pytest.fixture
async def core(tmp_path):
    async with open_heart(tmp_path / "data") as core:
        yield core


@pytest.fixture
async def signing(core, tmp_path):
    return await opened(core, tmp_path)


async def opened(core, folder):
    signing = Signing(core.store, core.hub, folder / "keys")
    await signing.load()
    return signing


def public(private):
    return base64.b64encode(private.public_key().public_bytes_raw()).decode()


def by(private, message=MESSAGE):
    return base64.b64encode(private.sign(message)).decode()


async def audited(core):
    return [
        (row["action"], row["subject"], row["who"], row["details"])
        for row in await core.audit.rows()
        if row["action"].startswith("firmware.")
    ]


def test_what_is_signed_is_spelled_in_one_way():
    assert MESSAGE == b"passerelle image 1\n" + b"a" * 64 + b"\n7\n1.2.0\nboard,esp32-s3\n"
    assert canonical("a" * 64, 7, "1.2.0", ("board", "esp32-s3")) == MESSAGE
    assert canonical("b" * 64, 0, "1", ()) == b"passerelle image 1\n" + b"b" * 64 + b"\n0\n1\n\n"


async def test_the_gateways_key_is_made_once_and_for_its_owner_only(core, signing, tmp_path):
    path = tmp_path / "keys" / "firmware.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["firmware.key"]
    again = await opened(core, tmp_path)
    assert again.public_key == signing.public_key
    Ed25519PublicKey.from_public_bytes(base64.b64decode(signing.public_key)).verify(
        base64.b64decode(again.sign(MESSAGE)), MESSAGE
    )
    assert signing.who_signed(MESSAGE, again.sign(MESSAGE)) == "gateway"


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
async def test_a_broken_key_file_is_said_and_never_replaced(core, signing, tmp_path, damage):
    path = tmp_path / "keys" / "firmware.key"
    damage = path.read_bytes()[:60] if damage is None else damage
    path.write_bytes(damage)
    async with raises(Invalid):
        await opened(core, tmp_path)
    assert path.read_bytes() == damage


async def test_a_key_of_another_kind_is_none(core, tmp_path):
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    (tmp_path / "keys").mkdir()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "keys" / "firmware.key").write_bytes(generate_private_key(SECP256R1()).private_bytes(*form))
    async with raises(Invalid):
        await opened(core, tmp_path)


async def test_a_vendors_key_comes_counts_and_goes(core, signing, tmp_path):
    vendor = Ed25519PrivateKey.generate()
    assert signing.who_signed(MESSAGE, by(vendor)) is None
    await signing.add_key("Acme GmbH", public(vendor), ADMIN)
    assert signing.who_signed(MESSAGE, by(vendor)) == "Acme GmbH"
    assert (await opened(core, tmp_path)).who_signed(MESSAGE, by(vendor)) == "Acme GmbH"
    await signing.remove_key("Acme GmbH", ADMIN)
    assert signing.who_signed(MESSAGE, by(vendor)) is None and signing.keys == {}
    assert (await opened(core, tmp_path)).who_signed(MESSAGE, by(vendor)) is None
    details = {"public_key": public(vendor)}
    assert await audited(core) == [
        ("firmware.key_remove", "Acme GmbH", "ann", details),
        ("firmware.key_add", "Acme GmbH", "ann", details),
    ]


async def test_a_key_in_pem_is_the_same_key(signing):
    vendor = Ed25519PrivateKey.generate()
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    await signing.add_key("acme", vendor.public_key().public_bytes(*form).decode(), ADMIN)
    assert signing.keys == {"acme": public(vendor)}


@pytest.mark.parametrize(
    "change",
    [lambda raw: raw[:-1], lambda raw: raw + b"x", lambda raw: bytes(64), lambda raw: raw[::-1],
     lambda raw: b"", lambda raw: bytes([raw[0] ^ 1]) + raw[1:]],
)  # fmt: skip
async def test_a_signature_that_is_not_whole_is_nobodys(signing, change):
    raw = base64.b64decode(signing.sign(MESSAGE))
    assert signing.who_signed(MESSAGE, base64.b64encode(raw).decode()) == "gateway"
    assert signing.who_signed(MESSAGE, base64.b64encode(change(raw)).decode()) is None


@pytest.mark.parametrize("text", ["", "x", "!!!!", "é" * 88, "A" * 87, "\0" * 88, "gateway"])
async def test_what_is_no_signature_is_nobodys(signing, text):
    assert signing.who_signed(MESSAGE, text) is None


@pytest.mark.parametrize("place", range(0, len(MESSAGE), 7))
async def test_a_signature_is_for_one_message_only(signing, place):
    other = bytearray(MESSAGE)
    other[place] ^= 1
    assert signing.who_signed(bytes(other), signing.sign(MESSAGE)) is None


@pytest.mark.parametrize("name", ["", "gateway", "Gateway", "a\nb", "../x", " x", "x" * 65, "<b>", None])
async def test_a_vendors_name_is_plain(signing, name):
    async with raises(Invalid):
        await signing.add_key(name, public(Ed25519PrivateKey.generate()), ADMIN)


@pytest.mark.parametrize(
    "key",
    ["", "x", "A" * 42, base64.b64encode(bytes(31)).decode(), base64.b64encode(bytes(33)).decode(), "é", "\0",
     "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "BEGIN PUBLIC KEY"],
)  # fmt: skip
async def test_a_key_that_is_none(signing, key):
    async with raises(Invalid):
        await signing.add_key("acme", key, ADMIN)
    assert signing.keys == {}


async def test_one_name_one_key(signing):
    first, second = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    await signing.add_key("acme", public(first), ADMIN)
    for name, key in (("ACME", public(second)), ("other", public(first)), ("other", signing.public_key)):
        async with raises(Conflict):
            await signing.add_key(name, key, ADMIN)
    async with raises(NotFound):
        await signing.remove_key("nobody", ADMIN)
    assert signing.keys == {"acme": public(first)}


async def test_keys_are_few(signing):
    for number in range(20):
        await signing.add_key(f"vendor {number}", public(Ed25519PrivateKey.generate()), ADMIN)
    async with raises(Full):
        await signing.add_key("one more", public(Ed25519PrivateKey.generate()), ADMIN)


async def test_the_policy_is_kept_and_audited_once(core, signing, tmp_path):
    assert signing.policy.require_vendor is False
    for _ in range(2):
        assert (await signing.set_policy(True, ADMIN)).require_vendor is True
    assert (await opened(core, tmp_path)).policy.require_vendor is True
    assert await audited(core) == [("firmware.policy", "firmware.policy", "ann", {"require_vendor": True})]
    async with raises(Invalid):
        await signing.set_policy("false", ADMIN)


async def test_only_an_admin_decides_whom_to_trust(core, signing):
    for act in (
        signing.set_policy(True, TECHNICIAN),
        signing.add_key("acme", public(Ed25519PrivateKey.generate()), TECHNICIAN),
        signing.remove_key("acme", TECHNICIAN),
    ):
        async with raises(Forbidden):
            await act
    assert await core.store.run(lambda: SettingRow.get_or_none(SettingRow.key == "firmware.policy")) is None


async def test_the_key_is_in_no_repr(signing, tmp_path):
    text = (tmp_path / "keys" / "firmware.key").read_text().splitlines()[1]
    assert text not in repr(vars(signing)) and text not in repr(signing)
