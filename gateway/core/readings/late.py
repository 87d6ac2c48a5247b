"""Readings that come for a time that is summed up already: their five minutes are summed up again."""

from gateway.storage.models_history import LateRow
from gateway.storage.store import Store

FIVE_MINUTES_MS = 5 * 60_000
HOUR_MS = 3600_000
# Of one run of the job; more marks of the same five minutes are no harm, only work.
MAX_REMEMBERED = 100_000


class Late:
    """`rolled_ms`: up to here all is summed up, but for what is marked. Cheap, for every reading asks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._marked: set[tuple[int, int]] = set()
        self.rolled_ms = 0

    def mark(self, series: int, at_ms: int) -> None:
        """To be called before the reading itself is handed in, so that the mark is durable no later."""
        start_ms = at_ms // FIVE_MINUTES_MS * FIVE_MINUTES_MS
        if (series, start_ms) in self._marked:
            return
        if len(self._marked) < MAX_REMEMBERED:
            self._marked.add((series, start_ms))
        self._store.submit(lambda: LateRow.insert(series=series, start_ms=start_ms).execute())

    def forget(self) -> None:
        """What comes from now on is marked anew: the marks so far are about to be worked off."""
        self._marked.clear()
