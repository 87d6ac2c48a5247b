"""A plan is taken whole, or refused with a sentence that names the field."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.plan import MAX_MODULES, Guards, Plan, Stop, Wave, Window, read_plan
from gateway.core.errors import Invalid

FULL = {
    "name": "Night of the stations",
    "firmware_id": 3,
    "modules": ["MC-1", "MC-2", "MC-3"],
    "waves": [{"modules": ["MC-1"]}, {"percent": 10}, {"rest": True}],
    "wait_s": 600,
    "success_percent": 90,
    "stop": {"count": 2},
    "on_stop": "revert",
    "concurrency": 5,
    "window": {"days": [4, 0], "from": "22:00", "to": "05:00"},
    "guards": {"min_battery": 30, "min_rssi": -80, "not_while": {"inDispatch": True}},
    "never_both": [["MC-1", "MC-2"]],
}


def plan(**changes):
    return {name: value for name, value in (FULL | changes).items() if value is not ...}


def test_a_full_plan_is_read():
    assert read_plan(FULL) == Plan(
        name="Night of the stations",
        firmware_id=3,
        modules=("MC-1", "MC-2", "MC-3"),
        waves=(Wave(modules=("MC-1",)), Wave(percent=10), Wave(rest=True)),
        wait_s=600,
        success_percent=90,
        stop=Stop(count=2),
        on_stop="revert",
        concurrency=5,
        window=Window(days=(0, 4), begin="22:00", end="05:00"),
        guards=Guards(min_battery=30, min_rssi=-80, not_while={"inDispatch": True}),
        never_both=(("MC-1", "MC-2"),),
    )


def test_the_smallest_plan_stops_at_the_first_failure():
    read = read_plan({"name": "all", "firmware_id": 1, "type": 0})
    assert (read.waves, read.stop, read.success_percent) == ((Wave(rest=True),), Stop(count=1), 100)
    assert (read.window, read.on_stop, read.wait_s) == (None, "pause", 0)


def test_a_field_that_is_null_counts_as_left_out():
    assert read_plan(plan(window=None, guards=None, group=None)).window is None


def test_what_is_kept_is_what_was_read():
    read = read_plan(FULL)
    kept = msgspec.json.encode(read)
    assert msgspec.json.decode(kept, type=Plan) == read
    assert read_plan(msgspec.json.decode(kept)) == read


WRONG = [
    ([], "must be an object"),
    (plan(colour="red"), "has no 'colour'; it knows name, firmware_id"),
    (plan(name=...), "needs a name"),
    (plan(name=" "), "The name must be a text"),
    (plan(name="a\nb"), "cannot be printed"),
    (plan(name="x" * 201), "The name must be a text of 1 to 200"),
    (plan(firmware_id=...), "needs a firmware_id"),
    (plan(firmware_id="3"), "The firmware_id must be a whole number"),
    (plan(firmware_id=True), "The firmware_id must be a whole number"),
    (plan(modules=...), "exactly one of modules, group and type"),
    (plan(group="north"), "exactly one of modules, group and type"),
    (plan(modules=[]), "at least one module id"),
    (plan(modules="MC-1"), "must be a list"),
    (plan(modules=[1]), "id of a module must be a text"),
    (plan(modules=["MC-1", "mc-1"]), "mc-1 is twice"),
    (plan(modules=[f"MC-{n}" for n in range(MAX_MODULES + 1)]), "at most 10000 modules; these are 10001"),
    (plan(modules=..., group=""), "The group must be a text"),
    (plan(modules=..., type=-1), "The type must be a whole number"),
    (plan(waves=[]), "a list of 1 to 20"),
    (plan(waves=[{"percent": 1}] * 21), "a list of 1 to 20"),
    (plan(waves=[{}]), "Wave 1 must be one of"),
    (plan(waves=[{"percent": 1, "rest": True}]), "Wave 1 must be one of"),
    (plan(waves=[{"percent": 1}, {"rest": False}]), "Wave 2 must be one of"),
    (plan(waves=[{"rest": 1}]), "The rest of wave 1 must be true"),
    (plan(waves=[{"half": True}]), "Wave 1 has no 'half'"),
    (plan(waves=[{"percent": 0}]), "percent of wave 1 must be more than 0"),
    (plan(waves=[{"percent": 101}]), "percent of wave 1 must be a number from 0 to 100"),
    (plan(waves=[{"rest": True}, {"percent": 5}]), "Wave 1 takes the whole rest"),
    (plan(waves=[{"percent": 100}, {"percent": 5}]), "Wave 1 takes the whole rest"),
    (plan(waves=[{"modules": ["MC-1"]}, {"modules": ["MC-1"]}]), "MC-1 is twice among the"),
    (plan(wait_s=-1), "The wait_s must be a number from 0 to"),
    (plan(wait_s=float("nan")), "The wait_s must be a number"),
    (plan(wait_s=10**400), "The wait_s must be a number"),
    (plan(success_percent=101), "success_percent must be a number from 0 to 100"),
    (plan(stop={}), "The stop must be"),
    (plan(stop={"count": 1, "percent": 1}), "The stop must be"),
    (plan(stop={"count": 0}), "count of the stop must be a whole number from 1"),
    (plan(stop={"percent": 0}), "percent of the stop must be more than 0"),
    (plan(stop=2), "The stop must be an object"),
    (plan(on_stop="explode"), "pause or revert"),
    (plan(on_stop=["pause"]), "pause or revert"),
    (plan(concurrency=0), "The concurrency must be a whole number from 1 to 1000"),
    (plan(concurrency=2.5), "The concurrency must be a whole number"),
    (plan(window={"from": "22:00"}), 'needs "from" and "to"'),
    (plan(window={"from": "24:00", "to": "05:00"}), "The from of the window must be a time"),
    (plan(window={"from": "22:00", "to": "25:00"}), "The to of the window must be a time"),
    (plan(window={"from": "22:00", "to": "5:00"}), "The to of the window must be a time"),
    (plan(window={"from": "22:00", "to": "05:00\n"}), "The to of the window must be a time"),
    (plan(window={"from": "22:00", "to": "22:00"}), "leave it out for the whole day"),
    (plan(window={"from": "22:00", "to": "23:00", "days": []}), "from 0 (Monday) to 6 (Sunday)"),
    (plan(window={"from": "22:00", "to": "23:00", "days": [7]}), "from 0 (Monday) to 6 (Sunday)"),
    (plan(window={"from": "22:00", "to": "23:00", "days": [True]}), "from 0 (Monday) to 6 (Sunday)"),
    (plan(window={"from": "22:00", "to": "23:00", "days": [1, 1]}), "twice"),
    (plan(window={"from": "22:00", "to": "23:00", "zone": "UTC"}), "has no 'zone'"),
    (plan(guards={"min_battery": 101}), "The min_battery must be a number from 0 to 100 percent"),
    (plan(guards={"min_rssi": 1}), "The min_rssi must be a number from -150 to 0 dBm"),
    (plan(guards={"not_while": {"a": [1]}}), "The not_while of a must be"),
    (plan(guards={"not_while": {"a": float("inf")}}), "too big a number"),
    (plan(guards={"not_while": {"a": 10**400}}), "too big a number"),
    (plan(guards={"not_while": {f"k{n}": 1 for n in range(21)}}), "at most 20 keys"),
    (plan(guards={"moon": "full"}), "The guards has no 'moon'"),
    (plan(never_both=[["MC-1"]]), "a pair of module ids"),
    (plan(never_both=[["MC-1", "mc-1"]]), "paired with itself"),
    (plan(never_both={"MC-1": "MC-2"}), "a list of at most"),
]


@pytest.mark.parametrize(("raw", "sentence"), WRONG, ids=lambda value: str(value)[-40:])
def test_what_is_wrong_is_named(raw, sentence):
    with pytest.raises(Invalid) as refused:
        read_plan(raw)
    assert sentence in refused.value.message
    assert len(refused.value.message) < 400


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = [*FULL, "group", "type", "other"]


@given(st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=4))
def test_whatever_comes_it_is_a_plan_or_a_sentence(changes):
    try:
        read = read_plan(FULL | changes)
    except Invalid as refused:
        assert refused.message.endswith((".", "}")) or "{" in refused.message
    else:
        assert msgspec.json.decode(msgspec.json.encode(read), type=Plan) == read
