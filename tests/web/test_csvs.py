"""CSV that every reader reads the same, and that no spreadsheet computes."""

import csv
import io

import pytest

from web import csvs


@pytest.mark.parametrize(("value", "written"), [
    ("plain", "plain"), (1, "1"), (-2.5, "-2.5"), (True, "true"), (None, "null"), ({"a": 1}, '{"a": 1}'),
    ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\tx", "'\tx"), ("\rx", "'\rx"),
    ("a,b", "a,b"), ('say "x"', 'say "x"'), ("two\nlines", "two\nlines"), ("é\u202e", "é\u202e"), ("", ""),
])  # fmt: skip
def test_a_cell_comes_back_as_it_was_and_starts_no_formula(value, written):
    text = csvs.lines([("x", value), ("y", value)])
    assert text.endswith("\r\n")
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["x", written], ["y", written]]
