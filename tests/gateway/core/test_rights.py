"""One rule for every transport, against an oracle that tries words out instead of comparing patterns."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.topics import Topics
from gateway.core.rights import (
    Enrolling,
    Everything,
    ModuleIdentity,
    Person,
    Role,
    Service,
    ServiceRole,
    allows,
    covers,
    may_administer,
    may_manage,
    may_see,
)

TOPICS = Topics("gw/1")
LETTERS = ("a", "b", "c")
# A word that no pattern names, so that a `+` is told from all words of the patterns together.
OTHER = "other"
words = st.sampled_from((*LETTERS, "+"))


@st.composite
def patterns(draw):
    path = tuple(draw(st.lists(words, max_size=4)))
    return (*path, "#") if draw(st.booleans()) or not path else path


def matches(pattern, topic):
    """MQTT's own rule, word by word: `+` is any one word, `#` the rest and the parent itself."""
    if not pattern:
        return not topic
    if pattern[0] == "#":
        return True
    return bool(topic) and pattern[0] in ("+", topic[0]) and matches(pattern[1:], topic[1:])


SHORT = [path for length in range(4) for path in product((*LETTERS[:2], "+"), repeat=length)]
SHORT += [(*path, "#") for path in SHORT]
EVERY_TOPIC = [topic for length in range(6) for topic in product((*LETTERS[:2], OTHER), repeat=length)]


def test_a_filter_is_covered_exactly_when_it_reaches_nothing_beyond_the_grant():
    """All pairs of short patterns, against all topics: far more than 100,000 triples."""
    reach = {path: {topic for topic in EVERY_TOPIC if matches(path, topic)} for path in SHORT}
    for grant, what in product(SHORT, repeat=2):
        assert covers(grant, what) == (reach[what] <= reach[grant]), (grant, what)


@settings(max_examples=500, deadline=None)
@given(
    grant=patterns(),
    what=patterns(),
    topic=st.lists(st.sampled_from((*LETTERS, OTHER)), min_size=1, max_size=6),
)
def test_longer_ones_too(grant, what, topic):
    topic = tuple(topic)
    if covers(grant, what) and matches(what, topic):
        assert matches(grant, topic)
    assert covers(grant, topic) == matches(grant, topic)


MODULE, PENDING = ModuleIdentity("MC-1", True), ModuleIdentity("MC-1", False)
READER, CONTROLLER = Service("ha", ServiceRole.READER), Service("nr", ServiceRole.CONTROLLER)
NEWCOMER = Enrolling("nonce-12345")
RIGHTS = {
    ("publish", "gw/1/register/nonce-12345"): {NEWCOMER},
    ("publish", "gw/1/register/nonce-99999"): set(),
    ("publish", "gw/1/register/nonce-12345/reply"): set(),
    ("subscribe", "gw/1/register/nonce-12345/reply"): {NEWCOMER},
    ("subscribe", "gw/1/register/+/reply"): set(),
    ("publish", "gw/1/MC-1/up/register"): {MODULE, PENDING},
    ("publish", "gw/1/MC-1/up/telemetry"): {MODULE},
    ("publish", "gw/1/MC-1/down/command"): set(),
    ("publish", "gw/1/MC-2/up/telemetry"): set(),
    ("publish", "gw/1/mc-1/up/telemetry"): set(),
    ("publish", "gw/1/MC-1/out/state"): set(),
    ("publish", "gw/1/MC-1/ask/color"): {CONTROLLER},
    ("publish", "gw/1/MC-1/ask/color/reply"): set(),
    ("subscribe", "gw/1/MC-1/down/registered"): {MODULE, PENDING},
    ("subscribe", "gw/1/MC-1/down/#"): {MODULE},
    ("subscribe", "gw/1/MC-1/#"): set(),
    ("subscribe", "gw/1/+/down/#"): set(),
    ("subscribe", "gw/1/+/out/#"): {READER, CONTROLLER},
    ("subscribe", "gw/1/MC-1/out/state"): {READER, CONTROLLER},
    ("subscribe", "gw/1/+/ask/+/reply"): {READER, CONTROLLER},
    ("subscribe", "homeassistant/#"): {READER, CONTROLLER},
    ("publish", "homeassistant/x"): set(),
    ("receive", "gw/1/MC-1/down/command"): {MODULE},
    ("receive", "gw/1/MC-2/down/command"): set(),
    ("receive", "gw/1/MC-1/out/state"): {READER, CONTROLLER},
}
OUTSIDE = (
    "#", "+", "+/#", "+/1/MC-1/up/telemetry", "gw/#", "gw/+/MC-1/up/telemetry", "gw", "gw/1",
    "/gw/1/MC-1/up/x",
    "$SYS/#", "$SYS/broker", "$CONTROL/#", "$share/g/gw/1/+/out/#",
    "GW/1/MC-1/up/telemetry", "gw/10/MC-1/up/x",
    "gw/1MC-1/up/telemetry", "homeassistant", "homeassistantx/y", "+/MC-1", "",
)  # fmt: skip


@pytest.mark.parametrize("action, topic", RIGHTS)
def test_each_may_do_what_the_table_says_and_the_gateway_all(action, topic):
    path = TOPICS.path(topic)
    everybody = {NEWCOMER, MODULE, PENDING, READER, CONTROLLER, Person(1, "ann", Role.ADMIN)}
    assert {who for who in everybody if allows(who, action, path)} == RIGHTS[action, topic]
    assert allows(Everything(), action, path)


@pytest.mark.parametrize("topic", OUTSIDE)
def test_what_reaches_beyond_the_root_is_no_path(topic):
    assert TOPICS.path(topic) is None


@pytest.mark.parametrize("who, sees, manages, administers", [
    (Person(1, "ann", Role.ADMIN), {None, 1, 2}, True, True),
    (Person(1, "tom", Role.TECHNICIAN), {None, 1, 2}, True, False),
    (Person(1, "olga", Role.USER), {1}, False, False),
    (Everything(), {None, 1, 2}, True, True),
    (READER, {None, 1, 2}, False, False),
    (MODULE, set(), False, False),
    (NEWCOMER, set(), False, False),
])  # fmt: skip
def test_people(who, sees, manages, administers):
    assert {owner for owner in (None, 1, 2) if may_see(who, owner)} == sees
    assert (may_manage(who), may_administer(who)) == (manages, administers)
