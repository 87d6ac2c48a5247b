"""How simulated devices behave: each a plan of steps, drawn from the dice and from nothing else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gateway.simulator.dice import Dice

Weights = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Profile:
    """`interval_s` between readings, sent with `qos`. `clean`: no session is kept for it by the broker.

    `faults` are kinds of steps and how often each comes, beside readings.
    """

    name: str
    interval_s: float
    qos: int
    clean: bool = True
    faults: Weights = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """Wait so long, then do this; `amount`: seconds away, messages of a flood, or which garbage."""

    wait_s: float
    kind: str = "report"
    amount: float = 0.0


REPORT, SLEEP, FLOOD, DROP, GARBAGE, CLONE, RESTART = (
    "report", "sleep", "flood", "drop", "garbage", "clone", "restart"
)  # fmt: skip
# Amounts: from, to.
AMOUNTS: dict[str, tuple[float, float]] = {
    SLEEP: (2.0, 15.0),
    FLOOD: (50, 300),
    DROP: (0.0, 5.0),
    GARBAGE: (0.0, 1.0),
    RESTART: (0.5, 5.0),
}
# What a device with a bug sends as telemetry.
GARBAGES: tuple[bytes, ...] = (
    b'{"temperature":',
    b"\xff\xfe\x00",
    b"[1, 2, 3",
    b'{"temperature": NaN}',
    b'{"no_such_key": 1, "another": "one"}',
    b'{"spaces are": "no key"}',
    b'{"a":' * 40 + b"1" + b"}" * 40,
    b'{"ts": "yesterday", "values": {}}',
    b"true",
    b"",
    b"{" + b",".join(b'"key%d":1' % number for number in range(80)) + b"}",
)

PROFILES = {
    profile.name: profile
    for profile in (
        Profile("steady", interval_s=5.0, qos=1),
        Profile("chatty", interval_s=0.1, qos=0),
        Profile(
            "flaky", interval_s=2.0, qos=1, clean=False,
            faults={REPORT: 20, SLEEP: 2, FLOOD: 1, DROP: 2, GARBAGE: 3, CLONE: 1, RESTART: 1},
        ),
    )
}  # fmt: skip


def plan(profile: Profile, dice: Dice) -> Iterator[Step]:
    """What a device does, for ever. The first wait is anything up to the interval, so that not all march."""
    yield Step(dice.between(0.0, profile.interval_s))
    while True:
        yield _step(profile, dice)


def _step(profile: Profile, dice: Dice) -> Step:
    if not profile.faults:
        return Step(profile.interval_s)
    wait_s = profile.interval_s * dice.between(0.5, 1.5)
    kind = dice.weighted(profile.faults)
    return Step(wait_s, kind, dice.between(*AMOUNTS[kind])) if kind in AMOUNTS else Step(wait_s, kind)
