"""`python -m tests.bridge.mqtt.serve --port N [--data FILE]`: the broker alone, open to anybody."""

import argparse
import asyncio
import signal
from contextlib import AsyncExitStack

from bridge.mqtt.limits import UNLIMITED
from gateway.storage.store import Store

from .support import RecordingReceiver, open_broker


class Deaf(RecordingReceiver):
    """Keeps nothing, as this may run for long."""

    def connected(self, *_: object) -> None:
        pass

    disconnected = listening = connected


async def serve(port: int, data: str | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store(f"sqlite:///{data}")) if data else None
        broker = await stack.enter_async_context(
            open_broker(
                store,
                None,
                Deaf(),
                port=port,
                packets_per_s=UNLIMITED,
                packets_burst=UNLIMITED,
                strangers_per_address=UNLIMITED,
                connections_per_address=UNLIMITED,
            )
        )
        print(f"listening on {broker.port}", flush=True)
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", help="an SQLite file; without it nothing is kept")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    asked = parser.parse_args()
    if asked.loop == "uvloop":
        import uvloop

        uvloop.run(serve(asked.port, asked.data))
    else:
        asyncio.run(serve(asked.port, asked.data))


if __name__ == "__main__":
    main()
