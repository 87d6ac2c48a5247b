"""Desired against reported, key by key, with two people at it."""

import pytest

from gateway.core.desired import DesiredSet, ReportedInStep
from gateway.core.errors import Conflict, Invalid
from gateway.core.events import DesiredChanged
from tests.gateway.core.heart import ADMIN, TECHNICIAN, approved, heard, open_heart, raises

pytestmark = pytest.mark.anyio


async def test_every_key_says_whether_it_is_in_step(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        shadow = await core.desired.set("MC-1", {"a": 1, "b": True, "c": "x"}, 0, ADMIN)
        assert [shadow.state_of(key) for key in "abc"] == ["waiting"] * 3
        told = heard(core, ReportedInStep)
        core.desired.report(module, {"a": 1, "b": 1, "own": 5}, 1)
        shadow = core.desired.of("MC-1")
        # The module has seen version 1 and says something else: `true` is not 1, and `c` is missing.
        assert [shadow.state_of(key) for key in ("a", "b", "c", "own")] == [
            "in_step", "refused", "refused", "reported",
        ]  # fmt: skip
        assert told == [ReportedInStep("MC-1", 1)]
        shadow = await core.desired.change("MC-1", "b", False, 1, TECHNICIAN)
        assert (shadow.state_of("b"), shadow.state_of("c"), shadow.desired_version) == (
            "waiting", "refused", 2,
        )  # fmt: skip
        assert (shadow.marks["a"].by, shadow.marks["b"].by, shadow.marks["b"].version) == ("ann", "tom", 2)


async def test_marks_survive_a_restart(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        await core.desired.set("MC-1", {"a": 1, "b": 2}, 0, ADMIN)
        await core.desired.take_away("MC-1", "b", 1, TECHNICIAN)
        core.desired.report(module, {"a": 1}, 2)
        before = core.desired.of("MC-1")
        assert before.marks["b"].removed and before.reported_at_ms
    async with open_heart(tmp_path) as core:
        assert core.desired.of("MC-1") == before


async def test_the_second_of_two_is_told_who_changed_what_and_nothing_is_written_over(tmp_path):
    async with open_heart(tmp_path) as core:
        await approved(core)
        await core.desired.set("MC-1", {"a": 1, "b": 2}, 0, ADMIN)
        await core.desired.change("MC-1", "a", 5, 1, ADMIN)
        # Another key is nobody's business.
        await core.desired.change("MC-1", "b", 7, 1, TECHNICIAN)
        with pytest.raises(Conflict, match="ann set a to 5 since you looked"):
            await core.desired.change("MC-1", "a", 9, 1, TECHNICIAN)
        with pytest.raises(Conflict, match="ann, tom changed a, b since: the version is 3 now"):
            await core.desired.set("MC-1", {"a": 9}, 1, TECHNICIAN)
        await core.desired.take_away("MC-1", "a", 3, ADMIN)
        with pytest.raises(Conflict, match="ann removed a since you looked"):
            await core.desired.take_away("MC-1", "a", 3, TECHNICIAN)
        assert core.desired.of("MC-1").desired == {"b": 7}


@pytest.mark.parametrize("values", [
    {str(number): 1 for number in range(65)}, {"no name": 1}, {"": 1}, {"k" * 65: 1}, {"a": "x" * 40_000},
])  # fmt: skip
async def test_what_a_module_cannot_be_told_is_refused(tmp_path, values):
    async with open_heart(tmp_path) as core:
        await approved(core)
        async with raises(Invalid):
            await core.desired.set("MC-1", values, 0, ADMIN)
        assert core.desired.of("MC-1").desired_version == 0


async def test_a_module_that_forgot_is_told_again_and_one_that_repeats_itself_is_not(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        await core.desired.set("MC-1", {"a": 1}, 0, ADMIN)
        told = heard(core, DesiredChanged)
        for version in (0, 0, 1, 1, 0, 0):
            core.desired.report(module, {"a": 1}, version)
        assert [event.forgot for event in told] == [False, False, False, False, True, False]
        async with raises(Invalid):
            core.desired.report(module, {str(number): 1 for number in range(201)}, 1)


async def test_a_change_tells_what_it_changed(tmp_path):
    async with open_heart(tmp_path) as core:
        await approved(core)
        told = heard(core, DesiredSet)
        await core.desired.set("MC-1", {"a": 1, "b": 2}, 0, ADMIN)
        await core.desired.set("MC-1", {"a": 1, "c": [3]}, 1, TECHNICIAN)
        assert told == [
            DesiredSet("MC-1", 1, "ann", {"a": "1", "b": "2"}, []),
            DesiredSet("MC-1", 2, "tom", {"c": "[3]"}, ["b"]),
        ]
