"""Work on the writer in short transactions, and how long each held it."""

import asyncio
import time
from collections.abc import Callable

from gateway.storage.store import Store

PAUSE_S = 0.005
# Rows deleted in one transaction; fewer when that takes long.
MOST_ROWS, FEWEST_ROWS = 2000, 200
LONG_MS, SHORT_MS = 8.0, 4.0


class Slices:
    """`rows`: how many rows a transaction should change, by how long the ones before took."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.rows = MOST_ROWS // 2
        self.longest_hold_ms = 0.0

    async def write(self, work: Callable[[], object], *, adapts: bool = False) -> None:
        """One transaction, and a moment for everybody else after it."""
        held_ms = await self._store.run(lambda: _timed(work))
        self.longest_hold_ms = max(self.longest_hold_ms, held_ms)
        if adapts and held_ms > LONG_MS:
            self.rows = max(FEWEST_ROWS, self.rows // 2)
        elif adapts and held_ms < SHORT_MS:
            self.rows = min(MOST_ROWS, self.rows + FEWEST_ROWS)
        await asyncio.sleep(PAUSE_S)


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000
