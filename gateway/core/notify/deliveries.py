"""What is on its way to the channels, kept on disk until it is taken: bounded, in order, once each."""

import secrets
from collections.abc import Callable, Iterable

import msgspec

from gateway.core import clock
from gateway.core.notify.channel_values import Item
from gateway.storage.models_alerts import DeliveryRow
from gateway.storage.store import Store

MOST_WAITING = 1000
Work = Callable[[], object]


class Delivery(msgspec.Struct, kw_only=True):
    """One item for one channel. `born_s` and `due_s` are on the monotonic clock.

    `held`: quiet hours keep it back. `batch`: the key of the digest that it belongs to. `stored`: a crash
    would not lose it, so it may leave.
    """

    key: str
    channel_id: int
    module_number: int | None
    position: int
    item: Item
    created_at_ms: int
    born_s: float
    due_s: float
    held: bool = False
    batch: str = ""
    attempts: int = 0
    stored: bool = False


class Deliveries:
    """By channel, the oldest first."""

    def __init__(self, store: Store, now_s: Callable[[], float]) -> None:
        self._store = store
        self._now_s = now_s
        self._waiting: dict[int, dict[str, Delivery]] = {}
        self._position = 0
        self._fresh: list[Delivery] = []

    async def load(self) -> None:
        """What had not been taken when the gateway ended: it keeps its keys, so receivers know it again."""
        now_s, now_ms = self._now_s(), clock.now_ms()
        for row in await self._store.run(lambda: list(DeliveryRow.select().order_by(DeliveryRow.position))):
            age_s = max(0.0, (now_ms - row.created_at_ms) / 1000)
            self._keep(Delivery(
                key=row.key, channel_id=row.channel_id, module_number=row.module_number,
                position=row.position, item=msgspec.json.decode(row.news, type=Item),
                created_at_ms=row.created_at_ms, born_s=now_s - age_s, due_s=now_s, held=row.held,
                batch=row.batch, stored=True,
            ))  # fmt: skip
            self._position = max(self._position, row.position)

    def add(self, channel_id: int, module_number: int | None, item: Item, held: bool) -> tuple[Work, int]:
        """What writes it, within the transaction of its alert; and how many had to go to make room."""
        self._position += 1
        now_s = self._now_s()
        delivery = Delivery(
            key=secrets.token_hex(16), channel_id=channel_id, module_number=module_number,
            position=self._position, item=item, created_at_ms=clock.now_ms(), born_s=now_s, due_s=now_s,
            held=held,
        )  # fmt: skip
        waiting = self.of(channel_id)
        gone = [one.key for one in waiting[: max(0, len(waiting) + 1 - MOST_WAITING)]]
        self._forget(channel_id, gone)
        self._keep(delivery)
        self._fresh.append(delivery)

        def work() -> None:
            DeliveryRow.delete().where(DeliveryRow.key.in_(gone)).execute()
            _insert(delivery)

        return work, len(gone)

    def of(self, channel_id: int) -> list[Delivery]:
        """In the order in which it came."""
        return list(self._waiting.get(channel_id, {}).values())

    def channels(self) -> list[int]:
        return list(self._waiting)

    def stored(self) -> None:
        """All there are by now leave safely, once this is durable."""
        fresh, self._fresh = self._fresh, []

        def told() -> None:
            for one in fresh:
                one.stored = True

        if fresh:
            self._store.when_stored(told)

    def hold(self, deliveries: Iterable[Delivery]) -> None:
        for one in deliveries:
            one.held = True
        self._change([one.key for one in deliveries], held=True)

    def release(self, deliveries: list[Delivery]) -> None:
        """Quiet hours are over: several become one digest, which has the key of the first."""
        batch = deliveries[0].key if len(deliveries) > 1 else ""
        for one in deliveries:
            one.held, one.batch, one.stored = False, batch, False
        self._change([one.key for one in deliveries], held=False, batch=batch)
        self._fresh += deliveries
        self.stored()

    def end(self, deliveries: Iterable[Delivery]) -> None:
        """Taken, or given up."""
        ended = list(deliveries)
        for one in ended:
            self._forget(one.channel_id, [one.key])
        keys = [one.key for one in ended]
        if keys:
            self._store.submit(lambda: DeliveryRow.delete().where(DeliveryRow.key.in_(keys)).execute())

    def end_channel(self, channel_id: int) -> None:
        """Its rows went with it."""
        self._waiting.pop(channel_id, None)

    def end_module(self, number: int) -> None:
        """Its rows went with it."""
        for channel_id in self.channels():
            self._forget(channel_id, [d.key for d in self.of(channel_id) if d.module_number == number])

    def _keep(self, delivery: Delivery) -> None:
        self._waiting.setdefault(delivery.channel_id, {})[delivery.key] = delivery

    def _forget(self, channel_id: int, keys: list[str]) -> None:
        waiting = self._waiting.get(channel_id, {})
        for key in keys:
            waiting.pop(key, None)
        if not waiting:
            self._waiting.pop(channel_id, None)

    def _change(self, keys: list[str], **values: object) -> None:
        self._store.submit(lambda: DeliveryRow.update(**values).where(DeliveryRow.key.in_(keys)).execute())


def _insert(delivery: Delivery) -> None:
    DeliveryRow.insert(
        key=delivery.key,
        channel_id=delivery.channel_id,
        module_number=delivery.module_number,
        position=delivery.position,
        news=msgspec.json.encode(delivery.item).decode(),
        held=delivery.held,
        batch=delivery.batch,
        created_at_ms=delivery.created_at_ms,
    ).execute()
