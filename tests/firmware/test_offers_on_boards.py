"""The gateway's offers, read by the file that runs on boards: both must mean the same."""

import importlib
import sys
from pathlib import Path

import msgspec
import pytest

from tests.firmware.floor import open_floor
from tests.gateway.core.heart import GENERIC, TECHNICIAN, Clock, application

pytestmark = pytest.mark.anyio
DEVICE = Path(__file__).resolve().parents[2] / "firmware" / "device"
HARDWARE = "board-rev2"


@pytest.fixture(scope="module")
def board():
    sys.path.insert(0, str(DEVICE))
    try:
        yield importlib.import_module("passerelle.offers")
    finally:
        sys.path.remove(str(DEVICE))


@pytest.fixture
async def told(tmp_path, monkeypatch):
    """An offer as a module gets it, the module's token, and the gateway's public key."""
    clock = Clock(monkeypatch)
    async with open_floor(tmp_path, clock) as floor:
        asked = application(hardware=HARDWARE)
        granted = await floor.core.enrolment.register(asked, "10.0.0.1")
        await floor.core.decisions.approve([granted.id], TECHNICIAN)
        module = floor.core.registry.get(granted.id)
        floor.connects(module)
        image = await floor.image(hardware=("board", "other"))
        await floor.firmware.assignments.assign(module.id, image.id, TECHNICIAN)
        (offer,) = floor.boards.offers[module.id]
        said = msgspec.json.decode(msgspec.json.encode(offer))
        yield said, granted.token, floor.firmware.signing.public_key


def check(board, said, token, **other):
    about = {"newest": 0, "type": GENERIC, "hardware": HARDWARE} | other
    board.check(board.Offer(said), token, about["newest"], about["type"], about["hardware"])


async def test_a_board_takes_the_gateways_offer(board, told):
    said, token, key = told
    check(board, said, token)
    await board.check_signature(board.Offer(said), key)


@pytest.mark.parametrize(
    "change",
    [{"digest": "sha256:" + "0" * 64}, {"size": 1000}, {"version": "9"}, {"issued": 1}, {"job": "0" * 16}],
)
async def test_a_board_refuses_what_was_changed_on_the_way(board, told, change):
    said, token, _ = told
    with pytest.raises(board.Unfit):
        check(board, said | change, token)


@pytest.mark.parametrize("change", [{"type": 1}, {"version": "9"}, {"hardware": []}, {"signature": "AAAA"}])
async def test_a_board_refuses_a_signature_over_something_else(board, told, change):
    said, _, key = told
    with pytest.raises(board.Unfit):
        await board.check_signature(board.Offer(said | change), key)


@pytest.mark.parametrize("other", [{"type": 1}, {"hardware": "boardroom"}, {"newest": 2**60}])
async def test_a_board_of_another_kind_or_with_a_newer_offer_refuses(board, told, other):
    said, token, _ = told
    with pytest.raises(board.Unfit):
        check(board, said, token, **other)


async def test_another_modules_token_proves_nothing(board, told):
    said, _, _ = told
    with pytest.raises(board.Unfit):
        check(board, said, "x" * 43)
