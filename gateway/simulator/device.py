"""One simulated device: enrols, waits for approval, does what its profile plans, obeys, comes back."""

import asyncio
from collections import deque

import msgspec

from bridge import topics as words
from gateway.core.types import ModuleType
from gateway.simulator.acts import ACTS, OFFLINE, ONLINE, Session
from gateway.simulator.connection import Lost, Refused
from gateway.simulator.desk import Desk, Turned
from gateway.simulator.dice import Dice
from gateway.simulator.obedience import Obedience
from gateway.simulator.packets import Login
from gateway.simulator.place import Backoff, Place, Tally
from gateway.simulator.profiles import REPORT, SLEEP, Profile, plan
from gateway.simulator.readings import Readings
from gateway.simulator.tokens import Credential, Tokens

FIRMWARE = {"firmware": {"serial": "simulator-1"}}
HELLO_AGAIN_S, HELLO_SELDOM_S = 5.0, 60.0
# Log-ins refused in a row before a new token is asked for; an approved one is not given up lightly.
REFUSALS_NEW, REFUSALS_APPROVED = 2, 6
BAD_LOGIN = frozenset({4, 5})
MOST_EARLY = 100


class Dismissed(Exception):
    """The gateway told the device that its token is dead."""


class Device:
    """`run` it; what becomes of it is in the tally."""

    def __init__(
        self, serial: str, type: ModuleType, profile: Profile, seed: int,
        place: Place, desk: Desk, tokens: Tokens, tally: Tally,
    ) -> None:  # fmt: skip
        self.serial = serial
        self._type = type
        self._profile = profile
        self._place = place
        self._desk = desk
        self._tokens = tokens
        self._tally = tally
        self._readings = Readings(type, Dice(seed, serial, "values"))
        self._plan = plan(profile, Dice(seed, serial, "plan"))
        self._backoff = Backoff(Dice(seed, serial, "back-off"))
        self._obedience = Obedience(type, self._readings)
        self._session: Session | None = None
        # What a kept session brings with the log-in.
        self._early: deque[tuple[str, bytes]] = deque(maxlen=MOST_EARLY)
        self._waiter: asyncio.Future[None] | None = None
        self._status = ""
        self._state = ""
        self._refusals = 0

    async def run(self) -> None:
        """For ever; ends only by cancellation, and then says goodbye."""
        while True:
            await self._pause(await self._go())

    async def _go(self) -> float:
        """Through life once; how long to stay away then."""
        try:
            credential = self._tokens.get(self.serial) or await self._enrol()
            return await self._attend(credential)
        except Turned as turned:
            self._move("turned away")
            return turned.retry_after_s * self._backoff.spread()
        except Dismissed:
            self._tokens.forget(self.serial)
            self._move("dismissed")
        except Refused as refused:
            self._think_over(refused)
            self._move("refused")
        except (OSError, TimeoutError):
            self._move("lost")
        return self._backoff.wait_s()

    def _move(self, state: str) -> None:
        self._tally.move(self._state, state)
        self._state = state

    async def _pause(self, seconds: float) -> None:
        """Until the time is over, or `_wake`."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(seconds, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # Getting in

    async def _enrol(self) -> Credential:
        self._move("enrolling")
        application = {
            "type": self._type.code, "serial": self.serial, "hardware": "simulated", **FIRMWARE,
            "information": {"name": f"{self._type.name} {self.serial}"},
        }  # fmt: skip
        credential = await self._desk.register(application)
        self._tokens.keep(self.serial, credential)
        self._tally.counts["enrolled"] += 1
        return credential

    def _think_over(self, refused: Refused) -> None:
        """Refused often enough, a device asks for a new token."""
        credential = self._tokens.get(self.serial)
        if credential is None or refused.code not in BAD_LOGIN:
            return
        self._refusals += 1
        if self._refusals >= (REFUSALS_APPROVED if credential.approved else REFUSALS_NEW):
            self._refusals = 0
            self._tokens.forget(self.serial)

    async def _attend(self, credential: Credential) -> float:
        """A session from log-in to its end; how long to stay away then."""
        will_topic = self._place.topics.of(credential.id, words.UP_AVAILABILITY)
        login = Login(
            credential.id, credential.token, self._profile.clean, will_topic=will_topic, will=OFFLINE
        )
        self._early.clear()
        connection = await self._place.open(login, self._heard, self._wake)
        session = Session(connection, login, self._place, self._profile, self._readings, self._tally)
        self._session, self._status, self._refusals = session, "", 0
        try:
            for message in self._early:
                self._heard(*message)
            await self._until_online(session)
            self._tokens.keep(self.serial, msgspec.structs.replace(credential, approved=True))
            return await self._work(session)
        except asyncio.CancelledError:
            if self._status == "online":
                session.say_offline()
            raise
        finally:
            self._session = None
            connection.close()

    async def _until_online(self, session: Session) -> None:
        """Say hello, again and again but ever less often, until a person has approved."""
        await session.connection.subscribe(session.topic(words.DOWN_REGISTERED))
        again_s = HELLO_AGAIN_S
        while not self._status:
            await session.connection.publish(session.topic(words.UP_REGISTER), msgspec.json.encode(FIRMWARE))
            if not self._status:
                self._move("pending")
                await self._pause(again_s)
            self._check(session)
            again_s = min(again_s * 2, HELLO_SELDOM_S)
        await session.connection.subscribe(
            session.topic(words.DOWN_COMMAND), session.topic(words.DOWN_DESIRED)
        )
        await session.connection.publish(session.topic(words.UP_AVAILABILITY), ONLINE, retain=True)
        self._backoff.reset()
        self._tally.counts["sessions"] += 1
        self._move("online")

    def _check(self, session: Session) -> None:
        if self._status not in ("", "online"):
            raise Dismissed
        if session.connection.lost:
            raise Lost("the connection is gone")

    async def _work(self, session: Session) -> float:
        for step in self._plan:
            await self._pause(step.wait_s)
            self._check(session)
            if step.kind != REPORT:
                self._tally.counts[step.kind] += 1
            away_s = await ACTS[step.kind](session, step)
            if away_s is not None:
                self._move("sleeping" if step.kind == SLEEP else "away")
                return away_s
        raise AssertionError("a plan has no end")

    # Told

    def _heard(self, topic: str, payload: bytes) -> None:
        session = self._session
        if session is None:
            self._early.append((topic, payload))
        elif topic == session.topic(words.DOWN_REGISTERED):
            self._told(payload)
        elif topic == session.topic(words.DOWN_COMMAND):
            self._commanded(session, payload)
        elif topic == session.topic(words.DOWN_DESIRED):
            if (reported := self._obedience.desired(payload)) is not None:
                session.say(words.UP_REPORTED, reported)

    def _told(self, payload: bytes) -> None:
        try:
            self._status = str(msgspec.json.decode(payload, type=dict[str, object]).get("status", ""))
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
            return
        self._wake()

    def _commanded(self, session: Session, payload: bytes) -> None:
        replies, raised = self._obedience.command(payload)
        for reply in replies:
            session.say(words.UP_REPLY, reply)
        if len(replies) > 1:
            self._tally.counts["commands"] += 1
            session.say(words.UP_TELEMETRY, self._readings.now())
        if raised:
            session.say(("up", "event", raised), msgspec.json.decode(payload)["params"])
