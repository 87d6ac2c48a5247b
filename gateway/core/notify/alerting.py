"""Alerts as a whole: who watches, the book, the channels and the post, in the order in which they load."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from gateway.core.choices import Choices
from gateway.core.events import Hub
from gateway.core.notify.alert_rules import AlertRules
from gateway.core.notify.alert_values import SEVERITIES, Alert
from gateway.core.notify.alerts import Alerts
from gateway.core.notify.channels import Channels
from gateway.core.notify.post import Post
from gateway.core.notify.watch_clones import CloneWatch
from gateway.core.notify.watch_house import HouseWatch
from gateway.core.notify.watch_lost import LostWatch
from gateway.core.notify.watch_unstable import UnstableWatch
from gateway.core.notify.watch_updates import UpdatesWatch
from gateway.core.notify.watch_waiting import WaitingWatch
from gateway.core.presence import PresenceBook
from gateway.core.registry import Registry
from gateway.core.rights import Principal
from gateway.settings import Settings
from gateway.storage.store import Store


@dataclass(frozen=True, slots=True)
class Alerting:
    book: Alerts
    rules: AlertRules
    channels: Channels
    post: Post
    lost: LostWatch
    unstable: UnstableWatch
    clones: CloneWatch
    waiting: WaitingWatch
    updates: UpdatesWatch
    house: HouseWatch
    registry: Registry

    async def load(self) -> None:
        """After the registry and presence, before anybody connects."""
        await self.rules.load()
        await self.book.load()
        await self.channels.load()
        await self.post.load()
        self.lost.load()
        self.unstable.load()
        self.clones.load()
        await self.house.load(watched=any(module.life == "approved" for module in self.registry.all()))

    def tick(self) -> None:
        """Once a second."""
        for part in (self.lost, self.unstable, self.clones, self.waiting, self.house):
            part.tick()

    def open_alerts(self, visitor: Principal) -> list[Alert]:
        """What needs somebody now, as far as this visitor may know: the urgent first, then the newest."""
        return sorted(self.book.open_to(visitor), key=lambda alert: SEVERITIES.index(alert.severity))


def make_alerting(
    settings: Settings,
    store: Store,
    hub: Hub,
    choices: Choices,
    registry: Registry,
    presence: PresenceBook,
    now_s: Callable[[], float] = monotonic,
) -> Alerting:
    """Loaded later, in its turn."""
    book, rules = Alerts(store, hub, registry), AlertRules(store, hub, choices)
    channels = Channels(store, hub, settings.signing_key())
    post = Post(store, hub, channels, settings.time_zone, now_s)
    book.beside = post.beside
    return Alerting(
        book=book,
        rules=rules,
        channels=channels,
        post=post,
        lost=LostWatch(hub, book, rules, registry, presence, now_s),
        unstable=UnstableWatch(hub, book, registry, presence, now_s),
        clones=CloneWatch(hub, book, registry, now_s),
        waiting=WaitingWatch(hub, book, registry),
        updates=UpdatesWatch(hub, book, registry),
        house=HouseWatch(hub, store, choices, book, rules, settings.data, now_s),
        registry=registry,
    )
