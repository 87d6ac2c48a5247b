"""Windows are in the site's own time, over midnight, and right on the two odd days of the year."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.plan import Window
from firmware.windows import Site

EVERY_DAY = tuple(range(7))
PARIS = Site("Europe/Paris")


def ms(words):
    """UTC milliseconds of an ISO time, UTC unless it says another offset."""
    moment = datetime.fromisoformat(words)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def window(begin, end, days=EVERY_DAY):
    return Window(begin=begin, end=end, days=days)


@pytest.mark.parametrize(
    ("span", "at", "is_open"),
    [
        (("10:00", "12:00"), "2026-11-21T09:00+01:00", False),
        (("10:00", "12:00"), "2026-11-21T10:00+01:00", True),
        (("10:00", "12:00"), "2026-11-21T11:59:59+01:00", True),
        (("10:00", "12:00"), "2026-11-21T12:00+01:00", False),
        (("22:00", "05:00"), "2026-11-21T22:00+01:00", True),
        (("22:00", "05:00"), "2026-11-22T00:00+01:00", True),
        (("22:00", "05:00"), "2026-11-22T04:59+01:00", True),
        (("22:00", "05:00"), "2026-11-22T05:00+01:00", False),
        (("20:00", "24:00"), "2026-11-21T23:59+01:00", True),
        (("20:00", "24:00"), "2026-11-22T00:00+01:00", False),
        (("20:00", "00:00"), "2026-11-22T00:00+01:00", False),
        (("00:00", "12:24"), "2026-11-22T12:20+01:00", True),
        # Summer time is two hours ahead of UTC, not one.
        (("10:00", "12:00"), "2026-07-01T08:00", True),
        (("10:00", "12:00"), "2026-07-01T10:00", False),
    ],
)
def test_local_times(span, at, is_open):
    assert PARIS.is_open(window(*span), ms(at)) is is_open


def test_the_days_are_those_on_which_it_begins():
    friday_night = window("22:00", "05:00", days=(4,))
    assert PARIS.is_open(friday_night, ms("2026-11-20T23:00+01:00"))
    assert PARIS.is_open(friday_night, ms("2026-11-21T04:00+01:00"))
    assert not PARIS.is_open(friday_night, ms("2026-11-21T23:00+01:00"))
    assert not PARIS.is_open(friday_night, ms("2026-11-20T04:00+01:00"))


def open_times(site, span, begin, end, step_s=60):
    """(first, last] minutes of each time it is open, between two UTC times."""
    times, was = [], False
    for at in range(ms(begin), ms(end), step_s * 1000):
        now = site.is_open(span, at)
        if now is not was:
            times.append(datetime.fromtimestamp(at / 1000, UTC).strftime("%H:%M"))
        was = now
    return times


SPRING = ("2026-03-29T00:00", "2026-03-29T06:00")  # 02:00 to 03:00 does not exist; it is 01:00 UTC
AUTUMN = ("2026-10-24T23:00", "2026-10-25T06:00")  # 02:00 to 03:00 is there twice: 00:00 to 02:00 UTC


@pytest.mark.parametrize(
    ("span", "day", "times"),
    [
        # It begins in the hour that is skipped: when the clock jumps.
        (("02:30", "04:00"), SPRING, ["01:00", "02:00"]),
        # It ends in it: when the clock jumps.
        (("01:30", "02:30"), SPRING, ["00:30", "01:00"]),
        # All of it is skipped: not on this day.
        (("02:10", "02:50"), SPRING, []),
        # Both ends are the first of their two.
        (("02:15", "02:45"), AUTUMN, ["00:15", "00:45"]),
        (("01:30", "02:30"), AUTUMN, ["23:30", "00:30"]),
        # Between two clear times it is open an hour longer.
        (("02:30", "03:30"), AUTUMN, ["00:30", "02:30"]),
        (("03:00", "04:00"), AUTUMN, ["02:00", "03:00"]),
    ],
)
def test_the_odd_days(span, day, times):
    assert open_times(PARIS, window(*span), *day) == times


def test_a_zone_whose_midnight_is_skipped():
    """In Cairo the clock goes from 24:00 to 01:00 on the last Friday of April."""
    cairo = Site("Africa/Cairo")
    span = window("00:00", "02:00")
    assert open_times(cairo, span, "2026-04-23T20:00", "2026-04-24T06:00") == ["22:00", "23:00"]


def test_the_next_opening_is_said_in_local_words():
    span = window("22:00", "05:00", days=(0,))
    assert PARIS.next_opening_ms(span, ms("2026-11-21T12:00")) == ms("2026-11-23T22:00+01:00")
    assert PARIS.words(span, ms("2026-11-21T12:00")) == (
        "Its window opens on 2026-11-23 at 22:00 (Europe/Paris)."
    )


def test_a_window_that_its_only_day_skips_opens_a_week_later():
    sunday = window("02:10", "02:50", days=(6,))
    assert PARIS.next_opening_ms(sunday, ms("2026-03-28T12:00")) == ms("2026-04-05T02:10+02:00")


def test_no_zone_is_utc():
    assert Site().is_open(window("10:00", "11:00"), ms("2026-07-01T10:30"))


ZONES = ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia", "UTC"]
times = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))


@given(
    st.sampled_from(ZONES), times, times, st.sets(st.integers(0, 6), min_size=1),
    st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)),
)  # fmt: skip
def test_a_window_opens_when_it_says_that_it_will(zone, begin, end, days, at):
    if begin == end:
        return
    site, span = Site(zone), window(begin, end, tuple(sorted(days)))
    now_ms = int(at.replace(tzinfo=UTC).timestamp() * 1000)
    opening_ms = site.next_opening_ms(span, now_ms)
    assert opening_ms is not None
    assert opening_ms > now_ms
    assert site.is_open(span, opening_ms)
    assert not site.is_open(span, opening_ms - 1) or begin < end


@given(st.sampled_from(ZONES), times, times, st.dates(date(2024, 1, 1), date(2028, 1, 1)))
def test_outside_odd_days_it_is_what_the_clock_on_the_wall_says(zone, begin, end, day):
    site, span = Site(zone), window(begin, end)
    moment = datetime(day.year, day.month, day.day, 12, 0, tzinfo=site._zone)
    clock = f"{moment.astimezone(site._zone):%H:%M}"
    inside = begin <= clock < end if begin < end else clock >= begin or clock < end
    assert begin == end or site.is_open(span, int(moment.timestamp() * 1000)) is inside
