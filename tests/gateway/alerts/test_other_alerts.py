"""Unstable modules, clones, newcomers, updates, and the gateway's own health: each one alert at a time."""

import pytest

from gateway.core.certificates import CertificateChanged, CertificateExpires
from gateway.core.events import FirmwareJobChanged, RolloutChanged
from gateway.core.notify.takeovers import HardwareSaid, SessionTakenOver
from gateway.core.readings.room import HistoryHealth, HistoryHealthChanged
from tests.gateway.alerts.watched import MINUTE_S, watched
from tests.gateway.core.heart import ADMIN, TECHNICIAN, application

pytestmark = pytest.mark.anyio
MB = 1_000_000


async def test_a_flapping_module_is_one_alert_until_it_is_steady(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        module = await house.module()
        for _ in range(40):
            house.comes(module)
            house.after(20)
            house.goes(module)
            house.after(20)
        assert house.told("unstable", "offline") == [("opened", "unstable", "MC-1")]
        house.comes(module)
        for _ in range(10):
            assert house.told("unstable") == []
            house.after(MINUTE_S)
            house.comes(module)
        assert house.told("unstable", "offline") == [("closed", "unstable", "MC-1")]


async def test_one_that_flaps_and_stays_away_is_missed_once_it_is_no_longer_unstable(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        module = await house.module()
        for _ in range(5):
            house.comes(module)
            house.goes(module)
        house.after(10 * MINUTE_S)
        house.after(6)
        assert house.told("unstable", "offline") == [
            ("opened", "unstable", "MC-1"), ("closed", "unstable", "MC-1"), ("opened", "offline", "MC-1"),
        ]  # fmt: skip


def struggle(house, times, every_s=5):
    """Two devices push each other out, each saying its hello."""
    sides = [("10.0.0.8", "aa:01"), ("10.0.0.9", "bb:02")]
    for turn in range(times):
        before, after = sides[turn % 2], sides[(turn + 1) % 2]
        house.core.hub.publish(SessionTakenOver("MC-1", before[0], after[0]))
        house.core.hub.publish(HardwareSaid("MC-1", after[1]))
        house.after(every_s)


async def test_a_storm_of_clones_is_one_alert_that_names_both(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        house.comes(await house.module())
        house.core.hub.publish(HardwareSaid("MC-1", "aa:01"))
        struggle(house, 2)
        assert house.told("clone") == []
        struggle(house, 50)
        assert house.told("clone") == [("opened", "clone", "MC-1")]
        (text,) = house.texts("clone")
        for word in ("10.0.0.8", "10.0.0.9", "aa:01", "bb:02"):
            assert word in text
        assert house.book.opened("clone")[0].severity == "urgent"
        house.after(601)
        assert house.told("clone") == [("closed", "clone", "MC-1")]


async def test_two_takeovers_in_a_minute_or_three_in_more_are_no_clones(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        await house.module()
        struggle(house, 20, every_s=31)
        assert house.told("clone") == []


async def test_an_alert_of_clones_outlives_a_restart(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        await house.module()
        struggle(house, 4)
        house.told()
    async with watched(tmp_path, clock) as house:
        struggle(house, 10)
        assert house.told("clone") == []
        house.after(601)
        assert house.told("clone") == [("closed", "clone", "MC-1")]


async def test_newcomers_are_told_one_by_one_and_a_flood_of_them_once(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        await house.core.enrolment.register(application("NEW-1"), "10.0.0.1")
        house.after(1)
        assert house.told("waiting") == [("opened", "waiting", "NEW-1")]
        for number in range(2, 30):
            await house.core.enrolment.register(application(f"NEW-{number}"), f"10.0.{number}.1")
            house.after(1)
        told = house.told("waiting")
        assert len(told) == 5 and told[-1] == ("opened", "waiting", "")
        ids = [f"NEW-{number}" for number in range(1, 30)]
        await house.core.decisions.approve(ids, TECHNICIAN)
        house.after(1)
        assert len(house.told("waiting")) == 6 and house.book.opened("waiting") == []


async def test_a_failed_update_is_one_alert_until_it_is_confirmed(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        await house.module()
        for state in ("assigned", "failed", "assigned", "downloading", "failed", "rolled_back", "assigned"):
            job = {"id": "1", "state": state, "error": "no 100% <b>space</b>"}
            house.core.hub.publish(FirmwareJobChanged("MC-1", job))
        assert house.told("update") == [("opened", "update", "MC-1")]
        assert house.texts("update") == ["The update of MC-1 failed: no 100% <b>space</b>"]
        house.core.hub.publish(FirmwareJobChanged("MC-1", {"id": "2", "state": "confirmed"}))
        assert house.told("update") == [("closed", "update", "MC-1")]


async def test_a_rollout_that_stopped_is_one_alert_until_it_goes_on(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        rollout = {"id": 7, "name": "May", "state": "running", "reason": ""}
        for state in ("running", "stopped", "stopped"):
            house.core.hub.publish(RolloutChanged(rollout | {"state": state, "reason": "Two failed."}))
        assert house.told("rollout") == [("opened", "rollout", "7")]
        house.core.hub.publish(RolloutChanged(rollout))
        assert house.told("rollout") == [("closed", "rollout", "7")]


async def test_disk_database_and_certificate(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        watch, hub = house.alerting.house, house.core.hub
        watch.free_bytes = lambda: 400 * MB
        house.after(61)
        house.after(61)
        assert house.told("disk") == [("opened", "disk", "")]
        watch.free_bytes = lambda: 520 * MB
        house.after(61)
        assert house.told("disk") == []
        watch.free_bytes = lambda: 600 * MB
        house.after(61)
        assert house.told("disk") == [("closed", "disk", "")]
        hub.publish(HistoryHealthChanged(HistoryHealth("full")))
        hub.publish(HistoryHealthChanged(HistoryHealth("ok")))
        assert [what for what, *_ in house.told("disk")] == ["opened", "closed"]

        house.core.store.healthy = False
        house.after(1)
        house.after(6)
        house.core.store.healthy = True
        house.after(1)
        assert [what for what, *_ in house.told("database")] == ["opened", "closed"]

        for days in (30, 29, 1):
            hub.publish(CertificateExpires(days))
        assert house.told("certificate") == [("opened", "certificate", "soon")]
        hub.publish(CertificateExpires(0))
        hub.publish(CertificateChanged(365))
        assert [what for what, *_ in house.told("certificate")] == ["opened", "closed", "closed"]


async def test_what_is_not_said_again_after_a_restart_is_over(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        house.core.hub.publish(CertificateExpires(3))
        house.core.hub.publish(HistoryHealthChanged(HistoryHealth("full")))
        assert len(house.told()) == 2
    async with watched(tmp_path, clock) as house:
        house.core.hub.publish(CertificateExpires(2))
        for _ in range(8):
            house.after(MINUTE_S)
        assert house.told("disk", "certificate") == [("closed", "disk", "history")]


async def test_a_long_absence_of_the_gateway_is_told_once_and_a_short_one_not(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        await house.module()
        house.after(61)
    for away_s, told in ((300, 0), (3600, 1)):
        clock.pass_s(away_s)
        async with watched(tmp_path, clock) as house:
            house.after(61)
            assert len([one for one in house.book.all_to(ADMIN, 10**9, 99) if one.kind == "gateway"]) == told
