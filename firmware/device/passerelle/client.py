"""What a program on the board uses: `Passerelle`. Stays connected; its callers never see an outage."""

import asyncio
import gc
import json

from . import board, enrolment, mqtt, topics
from .commands import Commands
from .enrolment import Again
from .outbox import Message, Outbox
from .session import Session
from .together import Backoff, until
from .wire import Fixed, OnDemand, Wire

# What a broken connection looks like, here and there. MemoryError: better to start afresh than to stop.
TROUBLE = (OSError, EOFError, mqtt.Timeout, mqtt.Broken, ValueError, LookupError, TypeError, MemoryError)
# Logins refused in a row before we ask for a new token. One that a person approved is not given up for a
# gateway that is not itself for a minute.
REFUSALS_NEW = 2
REFUSALS_APPROVED = 6
LASTED_MS = 20000  # a shorter session does not count as a success
GOODBYE_TIMEOUT_S = 10


class Passerelle:
    """`say` gets a line for people whenever something changes; None keeps quiet."""

    def __init__(self, settings, say=print):
        self._settings = settings
        self._say = say or (lambda line: None)
        self._outbox = Outbox(settings.QUEUE)
        self._commands = Commands(self._answer)
        self._backoff = Backoff()
        self._credentials = None
        self._hello_every_s = None
        self._refusals = 0
        self._wire = Wire(self._outbox)
        self._updates = _updates(settings, self._wire, self._say)

    @property
    def online(self):
        return self._wire.online

    @property
    def code(self):
        """To show where the gateway asks for proof; empty before there is a token."""
        return self._credentials.code() if self._credentials else ""

    @property
    def lost(self):
        """Readings and log lines given up because the queue was full."""
        return self._outbox.lost

    def command(self, name):
        """Decorator: `handler(params)`, plain or async, runs the command; what it returns goes back."""

        def register(handler):
            self._commands.add(name, handler)
            return handler

        return register

    async def telemetry(self, values, qos=1):
        """Send readings, now or after the outage: then with the time they were made, if it is known."""
        values = {key: value for key, value in values.items() if _is_number_or_other(value)}
        now_ms = None if self.online else board.utc_ms()
        body = values if now_ms is None else {"ts": now_ms, "values": values}
        await self._put(topics.UP_TELEMETRY, json.dumps(body), qos, droppable=True)

    async def event(self, name, data=None):
        """Tell that something happened; `name` must be declared by the module's type."""
        await self._put(topics.UP_EVENT + name, json.dumps(data) if data else "")

    async def log(self, level, text):
        """A line for the gateway's log; level: debug, info, warn or error."""
        await self._put(topics.UP_LOG + level, text, 0, droppable=True)

    async def run(self, main=None):
        """Stay connected until `main` (a coroutine) ends and all is delivered; without it, for ever."""
        others = self._updates.jobs()
        others.append(self._commands.work())
        if main is None:
            await until(self._stay_connected(), *others)
        else:
            await until(self._finish(main), self._stay_connected(), *others)

    async def _finish(self, main):
        await main
        try:
            await asyncio.wait_for(self._outbox.emptied(), GOODBYE_TIMEOUT_S)
        except mqtt.Timeout:
            self._say(f"{len(self._outbox)} messages were not delivered")
        await self._wire.goodbye()

    async def _put(self, words, text, qos=1, droppable=False):
        await self._outbox.put(Message(words, text.encode(), qos, droppable))

    async def _answer(self, body):
        await self._put(topics.UP_REPLY, json.dumps(body))

    async def _stay_connected(self):
        self._credentials = enrolment.kept()
        while True:
            began_ms, after_s = board.ticks_ms(), 0
            try:
                await self._connect()
            except mqtt.Refused as error:
                self._count_refusal(error)
            except Again as error:
                after_s = error.after_s
                self._in_trouble(f"not yet: {error}")
            except TROUBLE as error:
                said = " ".join(str(error).split())  # mbedtls speaks in several lines
                self._in_trouble(f"no connection: {said or type(error).__name__}")
            gc.collect()
            if board.ticks_diff(board.ticks_ms(), began_ms) > LASTED_MS:
                self._backoff.reset()
            await asyncio.sleep(max(self._backoff.delay_s(), after_s))

    async def _connect(self):
        """One try: the network, a token if we have none, a session that lasts until it breaks."""
        await board.join_wifi(self._settings.WIFI_SSID, self._settings.WIFI_PASSWORD)
        if self._credentials is None:
            self._credentials, self._hello_every_s = await enrolment.enrol(self._settings, self._connection())
            self._refusals = 0
            self._backoff.reset()
            self._say(f"enrolled as {self._credentials.id}")
            if not self._credentials.approved:
                self._say(f"the code for whoever approves it: {self._credentials.code()}")
        session = Session(
            self._settings, self._credentials, self._outbox, self._commands, self._updates, self._say
        )
        self._wire.session, self._wire.token = session, self._credentials.token
        try:
            await session.run(self._connection(), self._hello_every_s)
        finally:
            if session.welcome:
                self._refusals = 0
            if session.dismissed:
                self._credentials = None
            self._wire.session = None

    def _in_trouble(self, why):
        self._wire.trouble = why
        self._say(why)

    def _connection(self):
        settings = self._settings
        encryption = board.encryption(settings.TLS_CA) if settings.TLS else None
        return mqtt.Connection(settings.GATEWAY_HOST, settings.GATEWAY_PORT, encryption)

    def _count_refusal(self, error):
        """Codes 4 and 5 speak of our credentials. The old token stays on file until a new one is granted."""
        self._in_trouble(f"the gateway refuses the login ({error})")
        if error.code not in (4, 5) or self._credentials is None:
            return
        self._refusals += 1
        if self._refusals >= (REFUSALS_APPROVED if self._credentials.approved else REFUSALS_NEW):
            self._say("asking for a new token")
            self._credentials = None


def _updates(settings, wire, say):
    slots = board.two_slots()
    return OnDemand(settings, slots, wire, say) if slots else Fixed(wire)


def _is_number_or_other(value):
    """JSON has no words for NaN and infinity, which is what a sensor that fails often returns."""
    return not isinstance(value, float) or value - value == 0
