"""Small plots: the newest at the right edge, from zero at the foot."""

import pytest

from web.sparkline import HEIGHT, WIDTH, path


def points(text: str) -> list[tuple[float, float]]:
    return [
        (float(x), float(y)) for x, y in (place.split(" ") for place in text.removeprefix("M").split("L"))
    ]


@pytest.mark.parametrize("values", [[], [1.0]])
def test_less_than_two_values_are_no_line(values: list[float]) -> None:
    assert path(values, 10) == ""


def test_it_fills_from_the_right_and_stays_in_its_box() -> None:
    found = points(path([0.0, 5.0, 10.0], 5))
    assert [x for x, _ in found] == [WIDTH / 2, WIDTH * 0.75, WIDTH]
    assert found[0][1] > found[1][1] > found[2][1]
    found = points(path([float(value) for value in range(1000)], 360))
    assert len(found) == 360
    assert (found[0][0], found[-1][0]) == (0, WIDTH)
    assert all(0 <= y <= HEIGHT for _, y in found)


def test_a_flat_line_at_zero_lies_at_the_foot() -> None:
    assert {y for _, y in points(path([0.0, 0.0], 2))} == {HEIGHT - 3}
