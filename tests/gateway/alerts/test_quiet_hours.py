"""Quiet hours on the clock of the house, over midnight and over both changes of summer time."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.core.errors import Invalid
from gateway.core.notify.quiet import QuietHours
from gateway.core.sealing import Seal

PARIS = "Europe/Paris"


def at(text, zone=PARIS, fold=0):
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


@pytest.mark.parametrize(
    ("clock", "quiet"),
    [("21:59", False), ("22:00", True), ("23:59", True), ("00:00", True), ("06:59", True), ("07:00", False)],
)
def test_they_lie_over_midnight(clock, quiet):
    assert QuietHours("22:00", "07:00").cover(at(f"2026-01-15T{clock}"), PARIS) is quiet


def test_they_may_lie_within_a_day_and_need_not_be():
    noon = QuietHours("12:00", "13:30")
    assert noon.cover(at("2026-01-15T12:30"), PARIS) and not noon.cover(at("2026-01-15T23:00"), PARIS)
    assert not QuietHours().cover(at("2026-01-15T03:00"), PARIS)


def quiet_minutes(hours, day, zone=PARIS):
    """How many minutes are quiet from this noon to the next."""
    began, ended = at(f"{day}T12:00", zone), at(f"{day}T12:00", zone) + 25 * 3600_000
    end_of_day = datetime.fromisoformat(day).day + 1
    minutes = range(began, ended, 60_000)
    return sum(
        hours.cover(ms, zone) for ms in minutes
        if (datetime.fromtimestamp(ms / 1000, UTC).astimezone(ZoneInfo(zone)).isoformat()[8:16]
            < f"{end_of_day:02d}T12:00")
    )  # fmt: skip


def test_a_night_in_which_summer_time_changes_is_an_hour_shorter_or_longer():
    night = QuietHours("22:00", "07:00")
    assert quiet_minutes(night, "2026-01-14") == 9 * 60
    assert quiet_minutes(night, "2026-03-28") == 8 * 60
    assert quiet_minutes(night, "2026-10-24") == 10 * 60


def test_both_hours_of_the_clock_that_is_set_back_are_quiet():
    early = QuietHours("02:00", "03:00")
    assert [early.cover(at("2026-10-25T02:30", fold=fold), PARIS) for fold in (0, 1)] == [True, True]
    # In spring that hour does not exist.
    night = range(at("2026-03-29T00:00"), at("2026-03-29T12:00"), 60_000)
    assert not any(early.cover(ms, PARIS) for ms in night)


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("22:00", ""),
        ("", "07:00"),
        ("24:00", "07:00"),
        ("7", "8"),
        ("22:00", "22:00"),
        ("22:60", "1:00"),
        ("a", "b"),
    ],
)
def test_what_is_no_time_of_the_day_is_refused(begin, end):
    with pytest.raises(Invalid):
        QuietHours(begin, end).check()


def test_a_seal_opens_with_its_own_key_alone():
    seal = Seal("k" * 40, "channel secrets")
    closed = seal.close("hunter2 ü")
    assert "hunter2" not in closed and seal.open(closed) == "hunter2 ü"
    assert seal.close("hunter2 ü") != closed
    assert Seal("x" * 40, "channel secrets").open(closed) is None
    assert Seal("k" * 40, "something else").open(closed) is None
    assert seal.open("") == "" and seal.open("garbage") is None and seal.open(closed[:-8]) is None
