"""The second factor: codes of an app, recovery codes, and what a thief of either gets from them."""

import base64

import anyio
import pytest

from gateway.control import perform
from gateway.core.access import totp
from gateway.core.access.accounts import CODES_OF_ALL
from gateway.core.access.second_factor import RECOVERY_CODES, SecondFactorNeeded
from gateway.core.core import open_core
from gateway.core.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unauthenticated
from gateway.core.rights import Role
from gateway.settings import Settings
from tests.gateway.core.heart import PASSWORD, Clock, open_heart

pytestmark = pytest.mark.anyio
HERE = "10.0.0.1"


def test_the_codes_are_those_of_rfc_6238():
    secret = b"12345678901234567890"
    wanted = {59: "287082", 1111111109: "081804", 1234567890: "005924", 20000000000: "353130"}
    assert {at_s: totp.code_of(secret, at_s // 30) for at_s in wanted} == wanted


def test_what_an_app_reads_names_account_and_secret():
    assert totp.address_of("ABCD", "ann@home", "Passerelle") == (
        "otpauth://totp/Passerelle:ann%40home?secret=ABCD&issuer=Passerelle&digits=6&period=30"
    )


class Phone:
    """The app with the secret in it."""

    def __init__(self, offer, clock):
        self.secret, self.clock = base64.b32decode(offer.secret), clock

    def code(self, late_s=0):
        return totp.code_of(self.secret, (self.clock.ms // 1000 - late_s) // 30)


async def ann_with_a_phone(core, clock):
    person = await core.accounts.set_up(core.accounts.setup_secret, "ann", PASSWORD)
    phone = Phone(core.accounts.factors.offer(person), clock)
    return person, phone, await core.accounts.factors.confirm(person, phone.code())


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


async def test_it_counts_once_a_code_of_it_came_back(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        factors = core.accounts.factors
        ann = await core.accounts.set_up(core.accounts.setup_secret, "ann", PASSWORD)
        with pytest.raises(Invalid, match="begin again"):
            await factors.confirm(ann, "123456")
        phone = Phone(factors.offer(ann), clock)
        for wrong in ("", "abcdef", "1", phone.code() + "0", "é" * 6):
            with pytest.raises(Invalid, match="does not fit"):
                await factors.confirm(ann, wrong)
        assert await core.accounts.log_in("ann", PASSWORD, HERE) and not factors.is_on(ann.id)
        clock.pass_s(601)
        with pytest.raises(Invalid, match="took too long"):
            await factors.confirm(ann, phone.code())
        phone = Phone(factors.offer(ann), clock)
        codes = await factors.confirm(ann, f" {phone.code()[:3]} {phone.code()[3:]} ")
        assert len(set(codes)) == RECOVERY_CODES == factors.codes_left(ann.id)
        with pytest.raises(Conflict):
            factors.offer(ann)


async def test_logging_in_needs_password_and_code_in_every_way(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        _, phone, _ = await ann_with_a_phone(core, clock)
        for enter in (core.accounts.log_in, core.accounts.issue_tokens):
            clock.pass_s(60)
            with pytest.raises(SecondFactorNeeded) as needed:
                await enter("ann", PASSWORD, HERE)
            assert needed.value.code == "second_factor"
            with pytest.raises(SecondFactorNeeded, match="wrong"):
                await enter("ann", PASSWORD, HERE, "000000")
            with pytest.raises(Unauthenticated, match="password is wrong"):
                await enter("ann", "wrong password", HERE, phone.code())
            assert await enter("ann", PASSWORD, HERE, phone.code())


async def test_a_code_works_once_and_those_before_it_no_more(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        ann, phone, _ = await ann_with_a_phone(core, clock)
        factors = core.accounts.factors
        assert not await factors.check(ann.id, phone.code()), "the code that turned it on is used up"
        clock.pass_s(90)
        assert not await factors.check(ann.id, phone.code(late_s=60)), "too old"
        assert await factors.check(ann.id, phone.code(late_s=-30)), "a phone that is ahead"
        for late_s in (-30, 0, 30):
            assert not await factors.check(ann.id, phone.code(late_s))
        clock.pass_s(90)
        right, given = [], phone.code()

        async def use():
            right.append(await factors.check(ann.id, given))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(use)
        assert sorted(right) == [False] * 4 + [True]
    async with open_heart(tmp_path) as core:
        assert not await core.accounts.factors.check(ann.id, given), "used up across a restart too"
        clock.pass_s(60)
        assert await core.accounts.factors.check(ann.id, phone.code())


async def test_a_recovery_code_works_once_however_it_is_typed(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        ann, _, codes = await ann_with_a_phone(core, clock)
        first, second, third = codes[:3]
        assert await core.accounts.log_in("ann", PASSWORD, HERE, first)
        with pytest.raises(SecondFactorNeeded):
            await core.accounts.log_in("ann", PASSWORD, HERE, first)
        assert await core.accounts.factors.check(ann.id, second.lower().replace("-", " "))
        for wrong in ("", "-", "A" * 16, third[:-1], third + "A", "x" * 10_000):
            assert not await core.accounts.factors.check(ann.id, wrong)
    async with open_heart(tmp_path) as core:
        assert core.accounts.factors.codes_left(ann.id) == 8
        assert not await core.accounts.factors.check(ann.id, second)
        fresh = await core.accounts.factors.renew_codes(ann)
        assert not await core.accounts.factors.check(ann.id, third)
        assert await core.accounts.factors.check(ann.id, fresh[0])


async def test_codes_cannot_be_guessed_and_guesses_do_not_keep_the_owner_out(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        _, phone, _ = await ann_with_a_phone(core, clock)
        clock.pass_s(60)
        core.accounts._codes._clock = lambda: 1000.0
        for _ in range(10):
            with pytest.raises(SecondFactorNeeded):
                await core.accounts.log_in("ann", PASSWORD, "6.6.6.6", "000000")
        with pytest.raises(TooMany):
            await core.accounts.log_in("ann", PASSWORD, "6.6.6.6", phone.code())
        assert await core.accounts.log_in("ann", PASSWORD, HERE, phone.code())


async def test_who_may_remove_it(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        ann, _, codes = await ann_with_a_phone(core, clock)
        people, factors = core.accounts.people, core.accounts.factors
        bob = (await people.add("bob", PASSWORD, Role.USER, "ann")).person
        phone = Phone(factors.offer(bob), clock)
        await factors.confirm(bob, phone.code())
        with pytest.raises(Forbidden):
            await factors.remove(ann.id, "ann", bob)
        await factors.remove(bob.id, "bob", ann)
        assert await core.accounts.log_in("bob", PASSWORD, HERE)
        await factors.remove(ann.id, "ann", ann)
        with pytest.raises(NotFound):
            await factors.check(ann.id, codes[0])
        rows = [row for row in await core.audit.rows() if row["action"].startswith("user.second_factor")]
        assert [(row["action"], row["subject"], row["who"]) for row in rows] == [
            ("user.second_factor_off", "ann", "ann"), ("user.second_factor_off", "bob", "ann"),
            ("user.second_factor_on", "bob", "bob"), ("user.second_factor_on", "ann", "ann"),
        ]  # fmt: skip


async def test_nothing_of_it_lies_open_on_the_disk_or_in_the_trail(tmp_path, clock, caplog):
    async with open_heart(tmp_path) as core:
        ann = await core.accounts.set_up(core.accounts.setup_secret, "ann", PASSWORD)
        offer = core.accounts.factors.offer(ann)
        codes = await core.accounts.factors.confirm(ann, Phone(offer, clock).code())
        plain = [offer.secret, *codes, *(code.replace("-", "") for code in codes)]
        assert offer.secret not in repr(offer)
        trail = str(await core.audit.rows())
        assert not any(secret in trail for secret in plain)
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert not any(secret.encode() in stored for secret in plain)
    assert base64.b32decode(offer.secret) not in stored and offer.secret not in caplog.text


async def test_under_another_key_of_the_gateway_recovery_codes_still_let_in(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        ann, phone, codes = await ann_with_a_phone(core, clock)
    async with open_core(Settings(data=tmp_path, secret_key="x" * 40)) as core:
        clock.pass_s(60)
        assert core.accounts.factors.is_on(ann.id), "a new key must not turn it off"
        with pytest.raises(SecondFactorNeeded):
            await core.accounts.log_in("ann", PASSWORD, HERE, phone.code())
        assert await core.accounts.log_in("ann", PASSWORD, HERE, codes[0])


async def test_the_command_line_lets_an_admin_in_who_lost_everything(tmp_path, clock):
    given = Settings(data=tmp_path, secret_key="k" * 40)
    async with open_heart(tmp_path) as core:
        ann, _, _ = await ann_with_a_phone(core, clock)
    done = await perform(given, "user.reset_second_factor", username="Ann")
    assert done == {"id": ann.id, "username": "ann"}
    async with open_heart(tmp_path) as core:
        assert await core.accounts.log_in("ann", PASSWORD, HERE)
        trail = await core.audit.rows()
        removed = next(row for row in trail if row["action"] == "user.second_factor_off")
        assert removed["who"] == "command line"


async def test_many_addresses_together_do_not_guess_a_code(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        person, phone, _ = await ann_with_a_phone(core, clock)
        for throttle in (core.accounts._codes, core.accounts._codes_of_all):
            throttle._clock = lambda: 1000.0
        user = core.accounts.people.get(person.id)
        for number in range(CODES_OF_ALL):
            with pytest.raises(SecondFactorNeeded):
                await core.accounts._prove_factor(user, "000000", f"203.0.113.{number}")
        with pytest.raises(TooMany):
            await core.accounts._prove_factor(user, "000000", "198.51.100.1")
        # Whoever has logged in with this browser before gets in all the same.
        clock.pass_s(30)
        await core.accounts._prove_factor(user, phone.code(), HERE, core.accounts.known.mark(user.id))
