"""Time windows in the site's own zone: over midnight, and on the days when the clock jumps."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from firmware.plan import Window

# A window may fall into the hour that its only day does not have; the week after it is there again.
LOOK_AHEAD_DAYS = 15


class Site:
    """Where the gateway stands, as far as its clock tells; `zone` empty: UTC."""

    def __init__(self, zone: str = "") -> None:
        self._name = zone or "UTC"
        self._zone = ZoneInfo(self._name)

    def is_open(self, window: Window, now_ms: int) -> bool:
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        today = now.astimezone(self._zone).date()
        days = (today + timedelta(days=offset) for offset in (-1, 0))
        return any(begin <= now < end for begin, end in (self._span(window, day) for day in days))

    def next_opening_ms(self, window: Window, now_ms: int) -> int | None:
        """When it opens next, after now."""
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        today = now.astimezone(self._zone).date()
        for offset in range(LOOK_AHEAD_DAYS):
            begin, end = self._span(window, today + timedelta(days=offset))
            if now < begin < end:
                return int(begin.timestamp() * 1000)
        return None

    def words(self, window: Window, now_ms: int) -> str:
        """Why nothing starts now, for a person."""
        opening_ms = self.next_opening_ms(window, now_ms)
        if opening_ms is None:
            return "Its window does not open."
        local = datetime.fromtimestamp(opening_ms / 1000, self._zone)
        return f"Its window opens on {local:%Y-%m-%d} at {local:%H:%M} ({self._name})."

    def _span(self, window: Window, day: date) -> tuple[datetime, datetime]:
        """From when to when, in UTC, the window that begins on this day is open; empty: it is not."""
        if day.weekday() not in window.days:
            nothing = datetime.min.replace(tzinfo=UTC)
            return nothing, nothing
        last = day + timedelta(days=window.end == "24:00" or window.end < window.begin)
        end = "00:00" if window.end == "24:00" else window.end
        return instant(self._zone, day, window.begin), instant(self._zone, last, end)


@lru_cache(maxsize=1000)
def instant(zone: tzinfo, day: date, words: str) -> datetime:
    """When the clocks first show this local time, in UTC; where they skip it, when they jump over it."""
    local = datetime.combine(day, time.fromisoformat(words))
    # In a gap, fold 0 reckons with the offset before the jump, so it lies behind it, and fold 1 before it.
    late, early = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if late.astimezone(zone).replace(tzinfo=None) == local:
        return late
    return _jump(zone, early, late)


def _jump(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """The second at which the zone's offset changes."""
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after
