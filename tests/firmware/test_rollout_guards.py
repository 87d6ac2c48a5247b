"""A guard that holds a module back says which it is, and the value."""

import pytest

from firmware.guards import held_back
from firmware.plan import Guards

ALL = Guards(min_battery=30, min_rssi=-80, not_while={"inDispatch": True, "harness.state": "locked", "n": 1})


@pytest.mark.parametrize(
    ("latest", "desired", "sentence"),
    [
        ({}, {}, ""),
        ({"battery": 30, "rssi": -80, "inDispatch": False}, {}, ""),
        ({"battery": 29.5}, {}, "Guard min_battery: battery is 29.5 %, below 30 %."),
        ({"battery": 0}, {}, "Guard min_battery: battery is 0 %, below 30 %."),
        ({"battery_level": 12}, {}, "Guard min_battery: battery_level is 12 %, below 30 %."),
        ({"battery": "low"}, {}, ""),
        ({"battery": True}, {}, ""),
        ({"rssi": -81}, {}, "Guard min_rssi: rssi is -81 dBm, below -80 dBm."),
        ({"inDispatch": True}, {}, "Guard not_while: inDispatch is true."),
        ({"inDispatch": 1}, {}, ""),
        ({}, {"inDispatch": True}, "Guard not_while: inDispatch should be true."),
        ({"harness": {"state": "locked"}}, {}, "Guard not_while: harness.state is locked."),
        ({"harness.state": "locked"}, {}, "Guard not_while: harness.state is locked."),
        ({"harness": "locked"}, {}, ""),
        ({"n": 1.0}, {}, "Guard not_while: n is 1."),
        ({"n": True}, {}, ""),
    ],
)
def test_guards(latest, desired, sentence):
    assert held_back(ALL, latest, desired) == sentence


def test_without_guards_nothing_is_held_back():
    assert held_back(Guards(), {"battery": 0, "rssi": -200}, {}) == ""
