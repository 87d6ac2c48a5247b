"""The normative statements of MQTT 3.1.1, row by row: what is sent and what must follow."""

import pytest

from . import rows_connect, rows_format, rows_text
from .rows import REFUSED, UNTRIED, agrees, run

ROWS = (*rows_format.ROWS, *rows_connect.ROWS, *rows_text.ROWS)


def test_rows_are_distinct():
    names = [str(row) for row in ROWS]
    assert len(names) == len(set(names))
    assert len(names) >= 150


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(broker, row):
    expected = row.expects
    if not broker.ours and row.mosquitto_differs is not None:
        expected = row.mosquitto_differs
    if expected == UNTRIED:
        return
    answers, alive = run(broker.port, row, probe=expected not in REFUSED.values())
    seen = f"{answers}, then {'alive' if alive else 'closed'}"
    sent = " | ".join(data[:48].hex(" ") for data in row.sends)
    assert agrees(expected, answers, alive), f"sent {sent}; expected {expected}; saw {seen}"
