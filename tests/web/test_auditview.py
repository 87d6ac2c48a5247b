"""What a row of the audit trail says of a change, field by field."""

import pytest

from web.auditview import Change, changes


@pytest.mark.parametrize(("details", "shown"), [
    ({}, []),
    ({"type": 7}, [("type", "7", None)]),
    ({"name": "M", "group": "", "before": {"name": "Old"}}, [("name", "M", "Old"), ("group", "", None)]),
    ({"a.b": {"before": 7, "after": 14}}, [("a.b", "14", "7")]),
    ({"before": {"x": 1, "gone": "é"}, "after": {"x": 2, "y": [1]}}, [
        ("x", "2", "1"), ("y", "[1]", None), ("gone", "none", "é"),
    ]),
    ({"before": "kitchen", "after": "cellar"}, [("before", "kitchen", None), ("after", "cellar", None)]),
    ({"before": {}, "after": {}}, [("after", "{}", None)]),
])  # fmt: skip
def test_before_and_after_stand_side_by_side(details, shown):
    assert changes(details) == [Change(*one) for one in shown]
