"""QR codes as one SVG path, drawn by the page itself, so that nothing is fetched and no style is inline."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import segno

# Light modules around the code, without which scanners do not find it.
MARGIN = 4
KEPT = 256


@dataclass(frozen=True, slots=True)
class QrCode:
    """`path` draws the dark modules into a square of `size` units."""

    size: int
    path: str


@lru_cache(KEPT)
def qr_code(text: str) -> QrCode:
    matrix = segno.make_qr(text, error="m").matrix
    runs = (run for y, row in enumerate(matrix) for run in _runs(row, y))
    return QrCode(len(matrix) + 2 * MARGIN, "".join(runs))


def _runs(row: bytearray, y: int) -> list[str]:
    """What is dark in a row, left to right."""
    x, found = MARGIN, []
    for dark, cells in groupby(row):
        length = len(list(cells))
        if dark:
            found.append(f"M{x} {y + MARGIN}h{length}v1h-{length}z")
        x += length
    return found
