"""Who is in which wave: everybody once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.plan import Wave
from firmware.waves import divide
from gateway.core.errors import Invalid

REST = Wave(rest=True)


def ids(count):
    return [f"MC-{number}" for number in range(1, count + 1)]


def sizes(waves, count):
    return [len(wave) for wave in divide(waves, ids(count))]


def test_a_named_canary_then_a_tenth_then_the_rest():
    waves = [Wave(modules=("mc-7",)), Wave(percent=10), REST]
    divided = divide(waves, ids(101))
    assert divided[0] == ["MC-7"]
    assert [len(wave) for wave in divided] == [1, 10, 90]


@pytest.mark.parametrize(
    ("percents", "count", "expected"),
    [
        ((10,), 100, [10, 90]),
        ((10,), 101, [11, 90]),
        ((10,), 3, [1, 2]),
        ((50, 50), 10, [5, 3, 2]),
        ((7,), 100, [7, 93]),
        ((0.7,), 1000, [7, 993]),
        ((100,), 4, [4, 0]),
    ],
)
def test_a_percentage_is_of_what_is_left_and_rounded_up(percents, count, expected):
    assert sizes([*(Wave(percent=percent) for percent in percents), REST], count) == expected


def test_whom_a_later_wave_names_waits_for_it():
    assert divide([Wave(percent=50), Wave(modules=("MC-1",)), REST], ids(3)) == [["MC-2"], ["MC-1"], ["MC-3"]]


def test_a_stranger_is_refused():
    with pytest.raises(Invalid, match="MC-9 of wave 2 is not among the modules"):
        divide([Wave(percent=50), Wave(modules=("MC-9",)), REST], ids(3))


def test_nobody_is_forgotten():
    with pytest.raises(Invalid, match="MC-2 and 1 more are in no wave"):
        divide([Wave(modules=("MC-1",))], ids(3))
    with pytest.raises(Invalid, match="MC-2 is in no wave"):
        divide([Wave(percent=50)], ids(2))


@given(st.integers(1, 200), st.lists(st.floats(0.01, 100), max_size=5), st.integers(0, 3))
def test_everybody_is_in_one_wave(count, percents, named):
    canary = [Wave(modules=tuple(ids(min(named, count))))] if named else []
    divided = divide([*canary, *(Wave(percent=percent) for percent in percents), REST], ids(count))
    assert sorted(id for wave in divided for id in wave) == sorted(ids(count))
