"""Hypothesis plays a few clients against a broker and a model of MQTT 3.1.1; both must agree."""

from .machine import Machine, play


def test_broker_agrees_with_the_model(broker):
    play(lambda: Machine(broker), examples=100, steps=25)
