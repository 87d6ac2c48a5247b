"""The command line's door: the same commands on a running gateway and on data at rest."""

import stat

import anyio
import pytest

from gateway.control import Control, lock, perform, socket_path
from gateway.core.errors import GatewayError, Invalid
from gateway.core.rights import ModuleIdentity
from gateway.settings import Settings
from tests.gateway.core.heart import PASSWORD, open_heart

pytestmark = pytest.mark.anyio
ROWS = [{"serial": "MC-1", "type": "7", "name": "Mill", "group": "attic"}, {"serial": "MC-2", "type": "1"}]


@pytest.fixture(params=["running", "at rest"])
async def door(request, tmp_path):
    """`perform` on this data, and a way to look at what became of it."""
    given = Settings(data=tmp_path, secret_key="k" * 40)

    async def ask(operation, **arguments):
        return await perform(given, operation, **arguments)

    if request.param == "at rest":
        yield ask
    else:
        with lock(given):
            async with open_heart(tmp_path) as core, Control(core):
                yield ask


async def test_a_user_is_added(door, tmp_path):
    added = await door("user.add", username="ann", role="admin", password=PASSWORD)
    assert added == {"id": 1, "username": "ann", "role": "admin"}
    for wrong in (
        {"username": "ANN", "role": "admin", "password": PASSWORD},
        {"username": "bob", "role": "king", "password": PASSWORD},
        {"username": "b b", "role": "user", "password": PASSWORD},
        {"username": "bob", "role": "user", "password": "x"},
    ):  # fmt: skip
        with pytest.raises(GatewayError, match=r"\w+ \w+") as refused:
            await door("user.add", **wrong)
        assert PASSWORD not in refused.value.message


async def test_modules_are_imported_all_or_none_with_the_line(door, tmp_path):
    with pytest.raises(GatewayError, match="Entry 3: 'mc-1' stands in entry 1 already"):
        await door("module.import", rows=[*ROWS, {"serial": "mc-1", "type": "7"}])
    with pytest.raises(GatewayError, match="Entry 1: '' is no serial"):
        await door("module.import", rows=[{"serial": None, "type": None}])
    imported = await door("module.import", rows=ROWS)
    assert [(row["id"], row["type"]) for row in imported] == [("MC-1", 7), ("MC-2", 1)]
    assert all(len(row["token"]) >= 43 for row in imported)
    assert (await door("audit.verify"))["whole"]


async def test_what_was_done_at_rest_is_there_at_the_start(tmp_path):
    given = Settings(data=tmp_path, secret_key="k" * 40)
    await perform(given, "user.add", username="ann", role="admin", password=PASSWORD)
    (first, _) = await perform(given, "module.import", rows=ROWS)
    async with open_heart(tmp_path) as core:
        assert core.registry.authenticate("MC-1", first["token"]) == ModuleIdentity("MC-1", True)
        _, cookie = await core.accounts.log_in("ann", PASSWORD, "local")
        assert core.accounts.sessions.find(cookie)
        assert not core.accounts.setup_needed


async def test_only_one_has_the_data_at_a_time(tmp_path):
    given = Settings(data=tmp_path, secret_key="k" * 40)
    with lock(given), pytest.raises(Invalid, match=r"uses .* right now"):
        await perform(given, "audit.verify")
    assert (await perform(given, "audit.verify"))["whole"]


async def test_the_socket_is_its_owners_and_takes_no_nonsense(tmp_path):
    given = Settings(data=tmp_path, secret_key="k" * 40)
    async with open_heart(tmp_path) as core, Control(core):
        assert stat.S_IMODE(socket_path(given).stat().st_mode) == 0o600
        for line in (
            b"",
            b"{",
            b"5",
            b"[]",
            b'{"operation":"rm"}',
            b'{"operation":"audit.verify","arguments":{"x":1}}',
        ):
            async with await anyio.connect_unix(socket_path(given)) as stream:
                await stream.send(line + b"\n")
                with anyio.fail_after(20):
                    assert b"does not know this command" in await stream.receive()
        assert (await perform(given, "audit.verify"))["whole"]
    assert not socket_path(given).exists()


async def test_a_lost_second_factor_is_removed(door):
    await door("user.add", username="ann", role="admin", password=PASSWORD)
    for name in ("ann", "nobody"):
        with pytest.raises(GatewayError, match="There is no"):
            await door("user.reset_second_factor", username=name)
