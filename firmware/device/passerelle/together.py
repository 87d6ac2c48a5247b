"""Several coroutines at once, and the wait between two tries."""

import asyncio
import os


async def until(main, *others):
    """Run all of them until `main` ends or any of them fails; then end the rest. Raises the failure."""
    over = asyncio.Event()
    failures = []

    async def run(job, ends_all):
        try:
            await job
        except Exception as error:
            failures.append(error)
            ends_all = True
        if ends_all:
            over.set()

    tasks = [asyncio.create_task(run(job, False)) for job in others]
    tasks.append(asyncio.create_task(run(main, True)))
    try:
        await over.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0)
    if failures:
        raise failures[0]


class Backoff:
    """1, 2, 4 .. seconds, each shortened at random: a whole house must not come back at the same moment."""

    def __init__(self, first_s=1, most_s=30):
        self._first_s = first_s
        self._most_s = most_s
        self.reset()

    def reset(self):
        self._next_s = self._first_s

    def delay_s(self):
        delay_s = self._next_s * (0.5 + os.urandom(1)[0] / 510)
        self._next_s = min(2 * self._next_s, self._most_s)
        return delay_s
