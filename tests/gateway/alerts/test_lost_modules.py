"""One alert for each outage and one when it is over; many at once are one; restarts add and lose none."""

import pytest

from tests.gateway.alerts.watched import MINUTE_S, watched
from tests.gateway.core.heart import ADMIN, OWNER, STRANGER, TECHNICIAN

pytestmark = pytest.mark.anyio


async def test_one_alert_when_it_is_missed_and_one_when_it_is_back(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        module = await house.module()
        house.comes(module)
        house.goes(module)
        house.after(10 * MINUTE_S - 1)
        assert house.told("offline") == []
        house.after(1)
        assert house.told("offline") == [("opened", "offline", "MC-1")]
        assert house.texts("offline") == ["MC-1 has been offline for 10 minutes."]
        house.after(3600)
        assert house.told("offline") == []
        house.comes(module)
        assert house.told("offline") == [("closed", "offline", "MC-1")]
        (alert,) = house.book.past(ADMIN, 10**9, 10)
        assert str(alert.closing.said) == "MC-1 is back after 70 minutes."
        assert alert.closed_at_ms - alert.opened_at_ms == 3600_000


async def test_short_absences_sleepers_and_sent_away_ones_are_not_missed(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        short, sleeper, revoked, never = await house.modules(4)
        house.comes(short, sleeper, revoked)
        house.goes(short)
        house.presence.fell_asleep(sleeper, 6000)
        house.presence.session_closed(revoked.id, "mqtt", "revoked")
        house.after(9 * MINUTE_S)
        house.comes(short)
        house.after(30 * MINUTE_S)
        assert [one for one in house.told("offline") if one[2] in (sleeper.id, revoked.id, never.id)] == []


async def test_a_group_has_its_own_minutes_or_none(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        cellar, garden, other = await house.modules(3)
        await house.core.registry.edit(cellar.id, ADMIN, group="cellar")
        await house.core.registry.edit(garden.id, ADMIN, group="garden")
        await house.alerting.rules.set({"cellar": 2, "garden": 0}, ADMIN)
        house.comes(cellar, garden, other)
        house.goes(cellar, garden, other)
        house.after(2 * MINUTE_S)
        assert house.told("offline") == [("opened", "offline", cellar.id)]
        house.after(60 * MINUTE_S)
        assert house.told("offline") == [("opened", "offline", other.id)]


async def test_a_stepped_clock_of_the_wall_misses_nobody(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        module = await house.module()
        house.comes(module)
        house.goes(module)
        clock.ms += 86_400_000
        house.after(1)
        assert house.told("offline") == []


async def test_many_at_the_same_moment_are_one_alert(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        modules = await house.modules(20)
        house.comes(*modules)
        for module in modules[:12]:
            house.after(4)
            house.comes(*modules[12:])
            house.goes(module)
        for _ in range(12):
            house.after(MINUTE_S)
            house.comes(*modules[12:])
        assert house.told("offline", "many") == [("opened", "many", "")]
        assert house.texts("many") == ["12 of 20 modules went offline at the same moment."]
        house.comes(*modules[:8])
        assert house.told("offline", "many") == []
        house.comes(modules[8])
        assert house.told("offline", "many") == [("closed", "many", "")]
        house.after(1)
        # Whoever is not back is missed for itself.
        assert sorted(house.told("offline", "many")) == [
            ("opened", "offline", module.id) for module in sorted(modules[9:12], key=lambda one: one.id)
        ]


async def test_a_few_or_less_than_half_are_told_one_by_one(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        modules = await house.modules(14)
        house.comes(*modules)
        house.goes(*modules[:6])
        for _ in range(11):
            house.after(MINUTE_S)
            house.comes(*modules[6:])
        told = house.told("offline", "many")
        assert len(told) == 6 and {kind for _, kind, _ in told} == {"offline"}


async def test_a_restart_neither_doubles_nor_forgets(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        away, leaving = await house.module("AWAY"), await house.module("LEAVING")
        house.comes(away, leaving)
        house.goes(away)
        house.after(10 * MINUTE_S)
        house.comes(leaving)
        house.goes(leaving)
        house.after(4 * MINUTE_S)
        assert house.told("offline") == [("opened", "offline", "AWAY")]
    clock.pass_s(30)
    async with watched(tmp_path, clock) as house:
        house.after(1)
        assert house.told() == []
        assert [alert.subject for alert in house.book.opened("offline")] == ["AWAY"]
        # The minutes before the restart count.
        house.after(6 * MINUTE_S)
        assert house.told("offline") == [("opened", "offline", "LEAVING")]
        house.comes(house.core.registry.get("AWAY"))
        assert house.told("offline") == [("closed", "offline", "AWAY")]
    async with watched(tmp_path, clock) as house:
        assert [alert.subject for alert in house.book.opened("offline")] == ["LEAVING"]


async def test_a_restart_of_the_gateway_alerts_of_nobody_who_comes_back(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        modules = await house.modules(8)
        house.comes(*modules)
        house.after(1)
        house.told()
    clock.pass_s(120)
    async with watched(tmp_path, clock) as house:
        modules = [house.core.registry.get(f"M-{number}") for number in range(8)]
        house.after(100)
        assert house.presence.of("M-0").state == "offline"
        house.comes(*modules)
        house.after(3600)
        house.comes(*modules)
        house.after(1)
        assert house.told() == []


async def test_after_an_outage_of_the_gateway_those_who_stay_away_are_one_alert(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        modules = await house.modules(10)
        house.comes(*modules)
        house.after(1)
        house.told()
    clock.pass_s(3600)
    async with watched(tmp_path, clock) as house:
        assert [alert.kind for alert in house.book.all_to(ADMIN, 10**9, 10)] == ["gateway"]
        for _ in range(15):
            house.after(MINUTE_S)
        assert house.told("offline", "many", "gateway") == [("opened", "many", "")]
    async with watched(tmp_path, clock) as house:
        for _ in range(15):
            house.after(MINUTE_S)
        assert house.told("offline", "many") == []
        house.comes(*(house.core.registry.get(f"M-{number}") for number in range(10)))
        assert house.told("offline", "many") == [("closed", "many", "")]


async def test_people_see_alerts_of_what_they_may_see(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        hers, nobodys = await house.module("HERS", owner_id=OWNER.id), await house.module("NOBODYS")
        house.comes(hers, nobodys)
        house.goes(hers, nobodys)
        house.after(10 * MINUTE_S)
        seen = {
            person.name: {alert.subject for alert in house.alerting.open_alerts(person)}
            for person in (ADMIN, TECHNICIAN, OWNER, STRANGER)
        }
        both = {"HERS", "NOBODYS"}
        assert seen == {"ann": both, "tom": both, "olga": {"HERS"}, "sam": set()}
        await house.core.registry.delete("HERS", TECHNICIAN)
        assert house.alerting.open_alerts(OWNER) == []
        house.alerting.tick()
    async with watched(tmp_path, clock) as house:
        assert [alert.subject for alert in house.alerting.open_alerts(ADMIN)] == ["NOBODYS"]


async def test_each_sees_for_himself(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        one, other = await house.modules(2)
        house.comes(one, other)
        house.goes(one)
        house.after(10 * MINUTE_S)
        house.comes(other)
        assert (house.book.unseen(ADMIN), house.book.unseen(TECHNICIAN)) == (1, 1)
        up_to = house.book.newest
        house.goes(other)
        house.after(10 * MINUTE_S)
        await house.book.see(ADMIN, up_to)
        assert (house.book.unseen(ADMIN), house.book.unseen(TECHNICIAN)) == (1, 2)
    async with watched(tmp_path, clock) as house:
        assert (house.book.unseen(ADMIN), house.book.unseen(TECHNICIAN)) == (1, 2)
        await house.book.see(ADMIN, 10**9)
        assert house.book.unseen(ADMIN) == 0


async def test_the_history_is_bounded(tmp_path, clock, monkeypatch):
    monkeypatch.setattr("gateway.core.notify.alerts.CLOSED_KEPT", 3)
    async with watched(tmp_path, clock) as house:
        module = await house.module()
        for _ in range(6):
            house.comes(module)
            house.goes(module)
            house.after(20 * MINUTE_S)
        house.comes(module)
        assert len(house.book.past(ADMIN, 10**9, 100)) == 3
        newest = house.book.newest
    async with watched(tmp_path, clock) as house:
        assert len(house.book.past(ADMIN, 10**9, 100)) == 3
        assert house.book.newest == newest


async def test_rules_that_change_hold_for_those_who_are_away_already(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        module = await house.module()
        await house.core.registry.edit(module.id, ADMIN, group="attic")
        house.comes(module)
        house.goes(module)
        await house.alerting.rules.set({"attic": 0}, ADMIN)
        house.after(60 * MINUTE_S)
        assert house.told("offline") == []
        await house.alerting.rules.set({"attic": 60}, ADMIN)
        house.after(1)
        assert house.told("offline") == [("opened", "offline", "MC-1")]


async def test_a_storm_of_alerts_takes_its_time(tmp_path, clock, monkeypatch):
    monkeypatch.setattr("gateway.core.notify.watch_lost.MOST_A_TICK", 3)
    async with watched(tmp_path, clock) as house:
        modules = await house.modules(22)
        house.comes(*modules)
        house.goes(*modules[:8])
        for _ in range(10):
            house.after(MINUTE_S)
            house.comes(*modules[8:])
        assert len(house.told("offline")) == 3
        for _ in range(4):
            house.after(1)
        assert len(house.told("offline")) == 5
