"""The post: it hands news of alerts to the couriers of each channel, again and again until they are taken."""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from itertools import takewhile
from typing import Protocol

from gateway.core import audit, clock
from gateway.core.errors import Forbidden, Said, Unavailable
from gateway.core.events import Hub, ModuleRemoved
from gateway.core.notify.alert_values import Alert, AlertChanged, What
from gateway.core.notify.channel_values import Channel, Item, News
from gateway.core.notify.channels import Channels
from gateway.core.notify.deliveries import Deliveries, Delivery, Work
from gateway.core.notify.news import item_of, news_of, test_news
from gateway.core.rights import Person, may_administer
from gateway.storage.store import Store

log = logging.getLogger(__name__)

LOOK_S = 1.0
GIVE_UP_S = 86_400.0
BACK_OFF_S = (5.0, 3600.0)
SEND_S = 30.0
_CHANCE = random.SystemRandom()


class Undelivered(Exception):
    """A sentence on why; it must hold no secret. `refused`: the receiver is there, but not for this one."""

    def __init__(self, why: Said, *, refused: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.refused = refused


class Courier(Protocol):
    async def send(self, channel: Channel, secret: str, news: News) -> None:
        """Return once the other side has taken it; raises `Undelivered`."""


class Post:
    """`zone`: the house's, for quiet hours. Nothing leaves unless an admin made a channel for it."""

    def __init__(
        self, store: Store, hub: Hub, channels: Channels, zone: str, now_s: Callable[[], float]
    ) -> None:
        self._store = store
        self._hub = hub
        self._channels = channels
        self._zone = zone
        self._now_s = now_s
        self._couriers: dict[str, Courier] = {}
        self._sending: dict[int, asyncio.Task[None]] = {}
        self._resting_s: dict[int, tuple[int, float]] = {}
        self._testing = asyncio.Lock()
        self._due = asyncio.Event()
        self.deliveries = Deliveries(store, now_s)
        hub.subscribe(AlertChanged, self._alert_changed)
        hub.subscribe(ModuleRemoved, self._module_removed)

    async def load(self) -> None:
        await self.deliveries.load()

    def carry(self, kind: str, courier: Courier) -> None:
        """Said once, before it runs: who takes news to channels of this kind."""
        self._couriers[kind] = courier

    # What happens

    def beside(self, alert: Alert, what: What) -> Work:
        """What writes the news for every channel that wants it, together with the alert itself."""
        works: list[Work] = []
        for channel in self._channels.all():
            if channel.plan.wants(alert.kind, what):
                item = item_of(alert, what)
                held = self._holds_back(channel, item)
                work, dropped = self.deliveries.add(channel.id, alert.module_number, item, held)
                self._channels.lost(channel.id, dropped)
                works.append(work)
        return lambda: [work() for work in works]

    def _alert_changed(self, event: AlertChanged) -> None:
        self.deliveries.stored()
        self._store.when_stored(self._due.set)
        self._due.set()

    def _module_removed(self, event: ModuleRemoved) -> None:
        self.deliveries.end_module(event.module.number)

    async def run(self) -> None:
        """For ever."""
        try:
            while True:
                self.tick()
                self._due.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._due.wait()
        finally:
            await self._stop()

    async def _stop(self) -> None:
        """What is being sent is cut; it is sent again after the start, under the same key."""
        tasks = list(self._sending.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def tick(self) -> None:
        """Once a second, and when there is news: whoever has something to carry starts."""
        for channel_id in self.deliveries.channels():
            channel = self._channels.known(channel_id)
            if channel is None:
                self.deliveries.end_channel(channel_id)
                continue
            self._give_up(channel)
            self._mind_quiet_hours(channel)
            if channel_id not in self._sending and self._next(channel_id):
                self._start(channel_id)

    def _start(self, channel_id: int) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(channel_id), name=f"channel {channel_id}")
        self._sending[channel_id] = task
        task.add_done_callback(lambda done: self._served(channel_id, done))

    def _served(self, channel_id: int, task: "asyncio.Task[None]") -> None:
        self._sending.pop(channel_id, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("Sending over channel %d failed.", channel_id, exc_info=task.exception())
            self._rest(channel_id)

    def _give_up(self, channel: Channel) -> None:
        now_s = self._now_s()
        # The oldest come first.
        old = list(takewhile(lambda one: now_s - one.born_s > GIVE_UP_S, self.deliveries.of(channel.id)))
        self.deliveries.end(old)
        self._channels.lost(channel.id, len(old))

    # Quiet hours

    def _holds_back(self, channel: Channel, item: Item) -> bool:
        return item.severity != "urgent" and channel.plan.quiet.cover(clock.now_ms(), self._zone)

    def _mind_quiet_hours(self, channel: Channel) -> None:
        waiting = self.deliveries.of(channel.id)
        if channel.plan.quiet.cover(clock.now_ms(), self._zone):
            early = [d for d in waiting if not d.held and not d.batch and d.item.severity != "urgent"]
            if early and channel.id not in self._sending:
                self.deliveries.hold(early)
        elif held := [one for one in waiting if one.held]:
            self.deliveries.release(held)

    # Sending

    def _next(self, channel_id: int) -> list[Delivery]:
        """The oldest that may leave, with all of its digest."""
        channel, now_s = self._channels.known(channel_id), self._now_s()
        if channel is None or not channel.plan.active or self._resting_s.get(channel_id, (0, 0.0))[1] > now_s:
            return []
        waiting = self.deliveries.of(channel_id)
        for one in waiting:
            # While the database takes nothing, people are told all the same.
            if not one.held and one.due_s <= now_s and (one.stored or not self._store.healthy):
                return [other for other in waiting if other.batch == one.batch] if one.batch else [one]
        return []

    async def _serve(self, channel_id: int) -> None:
        while deliveries := self._next(channel_id):
            channel = self._channels.get(channel_id)
            try:
                await self._send(channel, news_of(deliveries))
            except Undelivered as error:
                self._channels.went_wrong(channel_id, error.why)
                self._try_later(channel_id, deliveries, refused=error.refused)
                if not error.refused:
                    return
            else:
                self._resting_s.pop(channel_id, None)
                self.deliveries.end(deliveries)
                self._channels.went_well(channel_id)

    async def _send(self, channel: Channel, news: News) -> None:
        courier, secret = self._couriers.get(channel.plan.kind), self._channels.secret(channel.id)
        if courier is None:
            raise Undelivered(Said("This gateway carries nothing to such channels."))
        if secret is None:
            raise Undelivered(
                Said("Its secret cannot be read with the gateway's present key; enter it again.")
            )
        try:
            async with asyncio.timeout(SEND_S):
                await courier.send(channel, secret, news)
        except TimeoutError:
            raise Undelivered(Said("It took too long.")) from None

    def _try_later(self, channel_id: int, deliveries: list[Delivery], *, refused: bool) -> None:
        if not refused:
            self._rest(channel_id)
            return
        for one in deliveries:
            one.attempts += 1
            one.due_s = self._now_s() + back_off_s(one.attempts)

    def _rest(self, channel_id: int) -> None:
        """Nobody is there: nothing is tried on this channel for a while."""
        failures = self._resting_s.get(channel_id, (0, 0.0))[0] + 1
        self._resting_s[channel_id] = (failures, self._now_s() + back_off_s(failures))

    async def test(self, channel_id: int, by: Person) -> Said | None:
        """Send a test at once; returns why it failed, None when it was taken."""
        if not may_administer(by):
            raise Forbidden("Only an admin tests channels.")
        channel = self._channels.get(channel_id)
        if self._testing.locked():
            raise Unavailable("Another test is under way.", 5)
        async with self._testing:
            fault: Said | None = None
            try:
                await self._send(channel, test_news())
            except Undelivered as error:
                fault = error.why
            name, taken = channel.plan.name, fault is None
            await self._store.run(lambda: audit.write("channel.test", name, by.name, taken=taken))
        if fault is not None:
            self._channels.went_wrong(channel_id, fault)
        else:
            self._channels.went_well(channel_id)
            # Whoever takes a test takes what waits, too.
            self._resting_s.pop(channel_id, None)
            self._due.set()
        self._hub.acted("channel.test", name, by, taken=taken)
        return fault


def back_off_s(failures: int) -> float:
    """Twice as long each time, up to an hour, and never all at the same moment."""
    shortest, longest = BACK_OFF_S
    return float(min(longest, shortest * 2.0 ** min(failures - 1, 20)) * _CHANCE.uniform(0.75, 1.0))
