"""Keeps the watchdog quiet, and decides whether a program on trial has proved itself."""

import asyncio

from .board import ticks_diff, ticks_ms

PROBATION_S = 60
DEADLINE_S = 300


class Trial:
    """Good after `probation_s` in one session that the gateway itself has greeted; no good when that takes
    longer than `deadline_s` to begin."""

    def __init__(self, slots, settings, say):
        self._slots = slots
        self._say = say
        self._probation_ms = 1000 * getattr(settings, "UPDATE_PROBATION_S", PROBATION_S)
        self._deadline_ms = 1000 * getattr(settings, "UPDATE_DEADLINE_S", DEADLINE_S)
        self._began_ms = ticks_ms()
        self._session = None  # the one it is proving itself in
        self._since_ms = 0
        self._lost = 0

    async def watch(self, wire):
        """For ever."""
        while True:
            self._slots.feed()
            if self._slots.on_trial():
                self._look(wire.greeted(), wire.trouble)
            await asyncio.sleep(0.5)

    def _look(self, session, trouble):
        now = ticks_ms()
        if session is not self._session:
            self._lost += self._session is not None
            self._session, self._since_ms = session, now
        if session is not None:
            if ticks_diff(now, self._since_ms) >= self._probation_ms:
                self._slots.keep()
                self._say(f"slot {self._slots.running} has proved itself")
        elif ticks_diff(now, self._began_ms) > self._deadline_ms:
            self._slots.give_up(self._why(trouble))

    def _why(self, trouble):
        seconds = self._deadline_ms // 1000
        if self._lost:
            return f"it lost the gateway {self._lost} times within {seconds} s: {trouble}"
        return f"it did not reach the gateway within {seconds} s: {trouble or 'no answer to its hello'}"
