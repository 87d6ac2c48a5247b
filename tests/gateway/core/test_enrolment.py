"""Every way into the waiting room, and none that shows what is there already."""

import anyio
import pytest

from gateway.core.enrolment import is_valid_id
from gateway.core.errors import (
    Closed,
    Conflict,
    Forbidden,
    Full,
    GatewayError,
    Invalid,
    NotFound,
    Rejected,
    TooMany,
)
from gateway.core.events import ClaimDecided, CredentialsChanged, ModuleRemoved
from gateway.core.rights import ModuleIdentity
from tests.gateway.core.heart import (
    ADMIN,
    GENERIC,
    LED,
    OWNER,
    STATION,
    TECHNICIAN,
    application,
    approved,
    heard,
    open_heart,
)

pytestmark = pytest.mark.anyio


def shape(granted):
    """What an applicant sees, without what is drawn at random."""
    return granted.status, granted.retry_after_s, granted.expires_at_ms is not None, len(granted.token)


async def answer(core, *args, **more):
    try:
        return shape(await core.enrolment.register(application(*args, **more), "10.9.9.9"))
    except GatewayError as error:
        return type(error), error.message


async def test_a_newcomer_waits_and_can_do_nothing_else(tmp_path):
    async with open_heart(tmp_path) as core:
        granted = await core.enrolment.register(
            application(information={"name": "Mill", "location": "Attic"}, firmware={"serial": "probe-1"}),
            "10.0.0.1",
        )
        module = core.registry.get("mc-1")
        assert (granted.status, granted.id) == ("pending", "MC-1")
        assert (module.life, module.name, module.location) == ("pending", "Mill", "Attic")
        # Its word is kept as a word: what it runs is for the catalogue to say.
        assert (module.firmware, module.reported_firmware) == ("", "probe-1")
        assert core.registry.authenticate("MC-1", granted.token) == ModuleIdentity("MC-1", False)
        assert granted.token.isalnum() and len(granted.token) >= 43
    async with open_heart(tmp_path) as core:
        assert core.registry.authenticate("MC-1", granted.token) == ModuleIdentity("MC-1", False)
        assert core.registry.get("MC-1") == module


@pytest.mark.parametrize("id, token", [
    ("MC-1", ""), ("MC-1", None), ("MC-1", 5), ("MC-1", "wrong"), ("mc-1", "right"), ("", "right"),
    (None, "right"),
    ("MC-2", "right"), ("MC-1\0", "right"), ("MC-1", "\ud800"), ("MC-1", b"right"),
])  # fmt: skip
async def test_no_other_credential_opens(tmp_path, id, token):
    async with open_heart(tmp_path) as core:
        _, right = await approved(core)
        given = right if token == "right" else token
        assert core.registry.authenticate(id, given) is None
        assert core.registry.authenticate("MC-1", right) == ModuleIdentity("MC-1", True)


async def test_asking_again_from_the_same_place_gives_a_new_token_and_no_new_row(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        dead = heard(core, CredentialsChanged)
        first = await core.enrolment.register(application(), "10.0.0.1")
        old = core.registry.authenticate("MC-1", first.token)
        clock.pass_s(60)
        second = await core.enrolment.register(application("mc-1"), "10.0.0.1")
        assert (second.id, second.expires_at_ms) == ("MC-1", first.expires_at_ms)
        assert core.registry.waiting() == 1
        assert core.registry.authenticate("MC-1", first.token) is None
        assert core.registry.authenticate("MC-1", second.token) is not None
        # Whoever is connected with the dead token is nobody any more.
        assert dead == [CredentialsChanged("MC-1", "replaced")]
        assert core.registry.identity_now(old) is None


@pytest.mark.parametrize("known", [True, False])
async def test_whether_a_serial_exists_does_not_show(tmp_path, known):
    """The same questions give the same answers, be the serial known or not."""
    async with open_heart(tmp_path) as core:
        if known:
            await approved(core, "MC-1")
            await core.decisions.declare([{"serial": "MC-2", "type": "7"}], "ann", with_token=False)
        assert await answer(core, "MC-1") == ("pending", 10, True, 43)
        assert await answer(core, "MC-1") == ("pending", 10, True, 43)
        wrong = (Forbidden, "Serial or shared key is wrong.")
        for serial in ("MC-1", "MC-2"):
            for key in ("wrong", "", "\ud800"):
                assert await answer(core, serial, shared_key=key) == wrong
        await core.joining.set("closed", ADMIN)
        assert (await answer(core, "MC-1"))[0] is Closed


async def test_two_at_once_with_one_serial_are_a_newcomer_and_a_claim(tmp_path):
    answers = []

    async def ask(core, address):
        answers.append(await core.enrolment.register(application(), address))

    async with open_heart(tmp_path) as core, anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(ask, core, f"10.0.0.{number}")
    assert {shape(granted) for granted in answers} == {("pending", 10, True, 43)}
    async with open_heart(tmp_path) as core:
        assert (len(list(core.registry.all())), len(list(core.registry.claims()))) == (1, 2)


async def test_a_lost_token_is_claimed_beside_the_untouched_module(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, token = await approved(core, owner_id=OWNER.id)
        live = core.registry.authenticate("MC-1", token)
        granted = await core.enrolment.register(application(hardware="rev-b"), "10.0.0.2")
        (claim,) = core.registry.claims()
        claimant = core.registry.authenticate("MC-1", granted.token)
        assert claimant == ModuleIdentity("MC-1", False, claim.number)
        assert core.registry.get("MC-1").hardware == ""
        again = await core.enrolment.register(application(), "10.0.0.2")
        assert len(list(core.registry.claims())) == 1
        assert core.registry.authenticate("MC-1", granted.token) is None
    async with open_heart(tmp_path) as core:
        decided = heard(core, ClaimDecided, CredentialsChanged)
        assert core.registry.authenticate("MC-1", token) == ModuleIdentity("MC-1", True)
        after = await core.decisions.approve_claim(claim.number, TECHNICIAN)
        assert (after.uuid, after.number, after.owner_id) == (module.uuid, module.number, OWNER.id)
        assert after.hardware == "rev-b"
        assert core.registry.authenticate("MC-1", token) is None
        assert core.registry.authenticate("MC-1", again.token) == ModuleIdentity("MC-1", True)
        assert decided == [
            ClaimDecided("MC-1", claim.number, "online"),
            CredentialsChanged("MC-1", "replaced"),
        ]
        # The sessions that the old token opened end with it, and so does the claim's own.
        assert core.registry.identity_now(live) is None
        assert core.registry.identity_now(claimant) is None
    async with open_heart(tmp_path) as core:
        assert core.registry.authenticate("MC-1", again.token) == ModuleIdentity("MC-1", True)
        assert list(core.registry.claims()) == []


@pytest.mark.parametrize("way", ["rejected", "expired"])
async def test_a_claim_that_fails_leaves_the_module_alone(tmp_path, clock, way):
    async with open_heart(tmp_path) as core:
        _, token = await approved(core)
        granted = await core.enrolment.register(application(), "10.0.0.2")
        (claim,) = core.registry.claims()
        decided = heard(core, ClaimDecided, ModuleRemoved)
        if way == "rejected":
            await core.decisions.reject_claim(claim.number, TECHNICIAN)
        else:
            clock.pass_s(3600)
            assert core.decisions.expire_due() == 1
        assert decided == [ClaimDecided("MC-1", claim.number, way)]
        assert core.registry.authenticate("MC-1", granted.token) is None
        assert core.registry.authenticate("MC-1", token) == ModuleIdentity("MC-1", True)
        # Who comes after somebody's decision is told whose it was.
        with pytest.raises(Conflict if way == "rejected" else NotFound):
            await core.decisions.approve_claim(claim.number, TECHNICIAN)
    async with open_heart(tmp_path) as core:
        assert list(core.registry.claims()) == []


async def test_a_rejected_one_is_refused_without_a_row_until_taken_back(tmp_path):
    async with open_heart(tmp_path) as core:
        granted = await core.enrolment.register(application(), "10.0.0.1")
        await core.decisions.reject(["MC-1"], TECHNICIAN, "not ours")
        assert core.registry.authenticate("MC-1", granted.token) is None
        for serial in ("MC-1", "mc-1"):
            with pytest.raises(Rejected):
                await core.enrolment.register(application(serial), "10.0.0.3")
        assert core.registry.waiting() == 0 and len(list(core.registry.all())) == 1
        await core.decisions.unreject("MC-1", TECHNICIAN)
        assert (await core.enrolment.register(application(), "10.0.0.3")).status == "pending"
        with pytest.raises(Conflict):
            await core.decisions.unreject("MC-1", TECHNICIAN)


async def test_the_shared_key_gives_a_token_once_and_then_only_a_claim(tmp_path):
    async with open_heart(tmp_path) as core:
        ((module, key),) = await core.decisions.declare(
            [{"serial": "MC-1", "type": 7}], "ann", with_token=False
        )
        assert module.life == "approved" and core.registry.authenticate("MC-1", key) is None
        await core.joining.set("closed", ADMIN)
        granted = await core.enrolment.register(application(shared_key=key), "10.0.0.1")
        assert granted.status == "approved" and granted.token != key
        assert core.registry.authenticate("MC-1", granted.token) == ModuleIdentity("MC-1", True)
        await core.joining.set("open", ADMIN)
        second = await core.enrolment.register(application(shared_key=key), "10.0.0.2")
        assert second.status == "pending"
        assert core.registry.authenticate("MC-1", granted.token) == ModuleIdentity("MC-1", True)
        # Whoever was revoked does not come back by the key he still knows.
        await core.registry.revoke("MC-1", TECHNICIAN)
        with pytest.raises(Forbidden, match=r"Serial or shared key is wrong\."):
            await core.enrolment.register(application(shared_key=key), "10.0.0.1")


async def test_a_window_has_a_type_a_quota_and_an_end_that_a_restart_keeps(tmp_path, clock):
    async with open_heart(tmp_path, join="closed") as core:
        with pytest.raises(Closed):
            await core.enrolment.register(application(), "10.0.0.1")
        with pytest.raises(Forbidden):
            await core.joining.set("window", OWNER)
        for seconds, quota in ((9, 1), (3601, 1), (60, 0)):
            with pytest.raises(Invalid):
                await core.joining.set("window", TECHNICIAN, seconds=seconds, quota=quota)
        await core.joining.set("window", TECHNICIAN, seconds=60, type=GENERIC, quota=2)
        with pytest.raises(Closed):
            await core.enrolment.register(application("MC-3", STATION), "10.0.0.1")
        await core.enrolment.register(application("MC-1"), "10.0.0.1")
        clock.pass_s(30)
    async with open_heart(tmp_path, join="open") as core:
        assert core.joining.join.mode == "window"
        # Who asks again because he heard no answer takes no second place.
        await core.enrolment.register(application("MC-1"), "10.0.0.1")
        await core.enrolment.register(application("MC-2"), "10.0.0.1")
        await core.enrolment.register(application("MC-2"), "10.0.0.1")
        with pytest.raises(Closed):
            await core.enrolment.register(application("MC-3"), "10.0.0.1")
        await core.joining.set("window", TECHNICIAN, seconds=60)
        await core.enrolment.register(application("MC-3"), "10.0.0.1")
        clock.pass_s(60)
        with pytest.raises(Closed):
            await core.enrolment.register(application("MC-3"), "10.0.0.1")
        assert core.registry.waiting() == 3


async def test_the_room_holds_as_many_as_it_may_even_when_all_come_at_once(tmp_path):
    outcomes = []

    async def ask(core, number):
        try:
            await core.enrolment.register(application(f"MC-{number}"), f"10.0.0.{number}")
            outcomes.append("in")
        except Full:
            outcomes.append("full")

    async with open_heart(tmp_path, pending_max=3) as core:
        await approved(core, "MC-99")
        await core.enrolment.register(application("MC-99"), "10.0.0.99")
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(ask, core, number)
        assert sorted(outcomes) == ["full"] * 8 + ["in"] * 2
        assert core.registry.waiting() == 3
        # Those who are in it may ask again.
        await core.enrolment.register(application("MC-99"), "10.0.0.99")
        await core.enrolment.register(application("MC-0"), "10.0.0.0")


async def test_an_address_may_ask_so_often_and_holds_up_nobody_else(tmp_path):
    async with open_heart(tmp_path) as core:
        with pytest.raises(TooMany) as refused:
            for number in range(100):
                await core.enrolment.register(application(f"MC-{number}"), "10.0.0.1")
        assert refused.value.retry_after_s >= 1 and number == 60
        assert (await core.enrolment.register(application("MC-200"), "10.0.0.2")).status == "pending"


async def test_ids_are_one_ignoring_case_and_generated_where_none_is_good(tmp_path):
    async with open_heart(tmp_path) as core:
        await core.enrolment.register(application("Pump"), "10.0.0.1")
        claimed = await core.enrolment.register(application("PUMP"), "10.0.0.2")
        assert core.registry.find("pUmP").id == "Pump" and claimed.status == "pending"
        for serial in (
            "a/b",
            "+",
            "#",
            "$SYS",
            "a" * 65,
            "x\0",
            "é",
            "",
            None,
            "register",
            "Discovery",
            "a b",
        ):
            granted = await core.enrolment.register(application(serial, LED), "10.0.0.1")
            assert granted.id != serial and granted.id.endswith("-LED") and is_valid_id(granted.id)
        ids = [module.id.lower() for module in core.registry.all()]
        assert len(set(ids)) == len(ids) == 13


@pytest.mark.parametrize("wrong", [
    {"type": 4711}, {"serial": "x" * 201}, {"hardware": "x" * 201}, {"information": {"a": "x" * 5000}},
    {"firmware": {"a": "x" * 5000}}, {"type": -1}, {"type": 10**30},
])  # fmt: skip
async def test_what_is_out_of_bounds_is_refused_with_a_sentence(tmp_path, wrong):
    async with open_heart(tmp_path) as core:
        with pytest.raises(Invalid, match=r"\w+ \w+.*\.$"):
            await core.enrolment.register(application(**wrong), "10.0.0.1")
        assert core.registry.waiting() == 0
