"""The real core, with alerts on a clock that a test moves, and modules that come and go at its word."""

from contextlib import asynccontextmanager

from gateway.core.notify.alert_values import AlertChanged
from gateway.core.notify.alerting import make_alerting
from gateway.core.notify.channel_values import Plan, Target
from gateway.core.presence import PresenceBook
from tests.gateway.core.heart import ADMIN, approved, heard, open_heart

MINUTE_S = 60
HOOK = Target(url="http://127.0.0.1:9/hook")


class Watched:
    """`alerting` and `presence` stand in for the core's own, which are cut off."""

    def __init__(self, core, clock):
        self.core, self.clock = core, clock
        for listeners in core.hub._listeners.values():
            listeners[:] = [one for one in listeners if not _of_alerts(one)]
        self.presence = PresenceBook(core.store, core.hub, core.registry, core.types, clock.monotonic)
        self.alerting = make_alerting(
            core.settings, core.store, core.hub, core.choices, core.registry, self.presence, clock.monotonic
        )
        self.changes = heard(core, AlertChanged)

    @property
    def book(self):
        return self.alerting.book

    async def module(self, serial="MC-1", **more):
        module, _ = await approved(self.core, serial, **more)
        return module

    async def modules(self, count):
        return [await self.module(f"M-{number}") for number in range(count)]

    def comes(self, *modules):
        for module in modules:
            self.presence.heard(module)

    def goes(self, *modules, reason="will"):
        for module in modules:
            self.presence.gone(module, reason)

    def after(self, seconds):
        """Time passes, second by second as far as it matters."""
        self.clock.pass_s(seconds)
        self.presence.tick()
        self.alerting.tick()

    def told(self, *kinds):
        """(what, kind, subject) of everything since the last time."""
        told = [(c.what, c.alert.kind, c.alert.subject) for c in self.changes]
        self.changes.clear()
        return [one for one in told if not kinds or one[1] in kinds]

    def texts(self, kind):
        return [str(alert.text.said) for alert in self.book.opened(kind)]

    async def channel(self, kind="webhook", secret="s" * 20, **more):
        plan = Plan(**({"name": f"{kind} 1", "kind": kind, "target": HOOK} | more))
        made, _ = await self.alerting.channels.add(plan, secret, ADMIN)
        return made


def _of_alerts(listener):
    owner = getattr(listener, "__self__", None)
    if owner is None and listener.__closure__:
        owner = listener.__closure__[0].cell_contents
    module = type(owner).__module__
    names = ("alerts", "post", "presence", "watch_lost", "watch_unstable", "watch_clones", "watch_waiting",
             "watch_updates", "watch_house")  # fmt: skip
    return module.startswith("gateway.core.") and module.rpartition(".")[2] in names


@asynccontextmanager
async def watched(folder, clock, **settings):
    async with open_heart(folder, **settings) as core:
        one = Watched(core, clock)
        await one.presence.load()
        await one.alerting.load()
        yield one
        one.presence.save()
