"""Who is in which wave: the named, a percentage of those who are left, the rest."""

import math
from collections.abc import Sequence

from firmware.plan import Wave
from gateway.core.errors import Invalid

# So that 7 % of 100 is 7, however the float comes out.
ROUNDING = 1e-9


def divide(waves: Sequence[Wave], ids: Sequence[str]) -> list[list[str]]:
    """The ids of each wave, in the order they were given in; a percentage is at least one module.

    Raises `Invalid` for a name that is not among `ids`, and when somebody is in no wave.
    """
    left = {id.lower(): id for id in ids}
    named = {id.lower() for wave in waves for id in wave.modules}
    divided = [_take(wave, number, left, named) for number, wave in enumerate(waves, 1)]
    if left:
        first = next(iter(left.values()))
        others = f" and {len(left) - 1} more are" if len(left) > 1 else " is"
        raise Invalid('%(first)s%(others)s in no wave; end with {"rest": true}.', first=first, others=others)
    return divided


def _take(wave: Wave, number: int, left: dict[str, str], named: set[str]) -> list[str]:
    for id in wave.modules:
        if id.lower() not in left:
            raise Invalid(
                "%(id)s of wave %(number)s is not among the modules of the rollout.", id=id, number=number
            )
    if wave.modules:
        taken = [id.lower() for id in wave.modules]
    else:
        # Whom a later wave names waits for that wave.
        free = [id for id in left if id not in named]
        taken = free if wave.rest else free[: math.ceil(len(free) * wave.percent / 100 - ROUNDING)]
    return [left.pop(id) for id in taken]
