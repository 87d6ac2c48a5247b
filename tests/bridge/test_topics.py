"""Topic names both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.topics import NONCE, Topics, is_for_gateway

word = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), max_size=8)


@given(root=st.sampled_from(["gw/1", "home", "a/b/c"]), words=st.lists(word, min_size=1, max_size=6))
def test_a_topic_under_the_root_and_its_path_are_the_same(root, words):
    topics = Topics(root)
    topic = "/".join((root, *words))
    path = topics.path(topic)
    assert path == tuple(words)
    if path[0] != "discovery":
        assert topics.topic(path) == topic


@given(topic=st.text(alphabet="gw/1+#$ahomestn", max_size=30))
def test_nothing_outside_root_and_discovery_has_a_path(topic):
    inside = topic.startswith(("gw/1/", "homeassistant/"))
    assert (Topics().path(topic) is not None) == inside


@pytest.mark.parametrize("topic, heard", [
    ("gw/1/MC-1/up/telemetry", True), ("gw/1/MC-1/up", True), ("gw/1/register/nonce-1234", True),
    ("gw/1/MC-1/ask/color", True), ("gw/1/register/nonce-1234/reply", False), ("gw/1/register", False),
   
    ("gw/1/MC-1/ask/color/reply", False), ("gw/1/MC-1/ask", False), ("gw/1/MC-1/down/command", False),
    ("gw/1/MC-1/out/state", False), ("gw/1/MC-1", False), ("gw/1/", False), ("homeassistant/x/config", False),
])  # fmt: skip
def test_what_the_gateway_hears(topic, heard):
    assert is_for_gateway(Topics().path(topic)) is heard


def test_what_it_says_it_does_not_hear():
    topics = Topics("r")
    said = (
        topics.enrolment_reply("nonce-1234"), topics.event("MC-1", "color"),
        topics.ask_reply("MC-1", "color"),
        topics.of("MC-1", ("down", "command")), topics.of("MC-1", ("out", "state")),
    )  # fmt: skip
    assert [is_for_gateway(topics.path(topic)) for topic in said] == [False] * len(said)


@pytest.mark.parametrize(
    "nonce", ["short12", "x" * 65, "with/slash", "with+plus1", "with#hash1", "nul\0nul\0"]
)
def test_no_nonce(nonce):
    assert not NONCE.match(nonce)
    assert not NONCE.match("nonce-1234\n")
