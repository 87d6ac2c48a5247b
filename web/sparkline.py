"""Small plots without scripts: the path of a line, as wide as its box."""

from collections.abc import Sequence

from gateway.core.pulse import KEPT

WIDTH, HEIGHT = 360, 60
EDGE = 3


def path(values: Sequence[float], places: int = KEPT) -> str:
    """An SVG path through the last `places` values in a box of WIDTH by HEIGHT, from zero at its foot.

    The newest stands at the right edge; where there are fewer, the left stays empty. Empty for less than two.
    """
    shown = values[-places:]
    if len(shown) < 2:
        return ""
    most = max(*shown, 1e-9)
    across, up, first = WIDTH / (places - 1), HEIGHT - 2 * EDGE, places - len(shown)
    points = (
        f"{(first + index) * across:.1f} {HEIGHT - EDGE - value / most * up:.1f}"
        for index, value in enumerate(shown)
    )
    return "M" + "L".join(points)
