"""Quiet hours: from one time of the day to another, on the clock of the house."""

import re
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import msgspec

from gateway.core.errors import Invalid

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z", re.ASCII)


class QuietHours(msgspec.Struct, frozen=True):
    """`22:00` to `07:00` lies over midnight; both empty: never. They begin and end by what the clock shows,
    whatever summer time makes of the hours between."""

    begin: str = ""
    end: str = ""

    def check(self) -> None:
        """Raises `Invalid` for what is no time of the day."""
        if not self.begin and not self.end:
            return
        for text in (self.begin, self.end):
            if not _CLOCK.match(text):
                raise Invalid("Quiet hours are two times of the day, such as 22:00 and 07:00.")
        if _time(self.begin) == _time(self.end):
            raise Invalid("Quiet hours must end at another time than they begin.")

    def cover(self, at_ms: int, zone: str) -> bool:
        """Whether this moment (UTC ms) lies within them; the zone is a name, empty for UTC."""
        if not self.begin:
            return False
        begin, end = _time(self.begin), _time(self.end)
        shown = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(zone or "UTC")).time()
        if begin < end:
            return begin <= shown < end
        return shown >= begin or shown < end


def _time(text: str) -> time:
    hours, minutes = text.split(":")
    return time(int(hours), int(minutes))
