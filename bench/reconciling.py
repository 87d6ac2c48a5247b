"""The query of the reconcile loop, alone in a process, over a house that the gateway's own schema holds."""

import time
from pathlib import Path
from typing import Any

from bench.timing import spread
from bench.worker import serve
from firmware.job_records import modules_to_update
from gateway.storage.database import open_database
from gateway.storage.models import ModuleRow, proxy
from gateway.storage.models_firmware import JobRow

NOW_MS = 1_800_000_000_000
JOBS_EACH = 3
BATCH = 500


async def look(folder: str, modules: int, times: int) -> dict[str, Any]:
    """Delays in ms over so many modules with three jobs each; a third are due, a third failed before."""
    database = open_database(f"sqlite:///{Path(folder) / 'house.db'}", 30)
    with proxy.atomic():
        for first in range(1, modules + 1, BATCH):
            numbers = range(first, min(first + BATCH, modules + 1))
            ModuleRow.insert_many([_module(number) for number in numbers]).execute()
            JobRow.insert_many(
                [_job(number, turn) for number in numbers for turn in range(JOBS_EACH)]
            ).execute()
    delays, due = [], 0
    for _ in range(times):
        begin = time.perf_counter()
        due = len(modules_to_update(NOW_MS))
        delays.append((time.perf_counter() - begin) * 1000)
    database.close()
    return spread(delays) | {"due": due}


def _module(number: int) -> dict[str, Any]:
    return {
        "id": f"M-{number}", "folded_id": f"m-{number}", "uuid": f"{number:036d}", "name": "", "location": "",
        "type": 7, "life": "approved", "created_at_ms": 0, "number": number,
        "firmware": "app-1" if number % 2 else "", "assigned_firmware": "app-2",
    }  # fmt: skip


def _job(number: int, turn: int) -> dict[str, Any]:
    last = turn == JOBS_EACH - 1
    state = ("assigned", "failed", "assigned")[number % 3] if last else "cancelled"
    return {
        "id": f"{number:012d}-{turn}", "module_number": number, "image_id": 1, "previous": "",
        "state": state, "attempt": 0, "received": 0, "size": 1, "since_ms": 0, "created_at_ms": 0,
        "by": "bench", "due_ms": NOW_MS + 1 if number % 3 == 2 else 0, "override": False,
    }  # fmt: skip


if __name__ == "__main__":
    serve({"look": look})
