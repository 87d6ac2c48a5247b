"""Small plots without scripts: the path of a line, as wide as its box."""

from collections.abc import Sequence

WIDTH, HEIGHT = 360, 60
EDGE = 3


def path(values: Sequence[float]) -> str:
    """An SVG path through `values` in a box of WIDTH by HEIGHT, from zero at its foot; empty for nothing."""
    if len(values) < 2:
        return ""
    most = max(*values, 1e-9)
    across, up = WIDTH / (len(values) - 1), HEIGHT - 2 * EDGE
    points = (
        f"{index * across:.1f} {HEIGHT - EDGE - value / most * up:.1f}" for index, value in enumerate(values)
    )
    return "M" + "L".join(points)
