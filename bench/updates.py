"""What is measured of firmware: that fetching images is fast, fair, and felt by nobody else."""

import asyncio
import json
import secrets
import urllib.request
from typing import Any

from bench import servers
from bench.scenarios import MB, REST_S, Figures, Size, Start, quiet, under_load
from bench.servers import Server, reader
from bench.worker import Worker

GENERIC = 7
DEVICES, MESSAGES_A_S = 200, 1000
FETCHERS, FAIR, CHUNK = 200, 20, 1024
BIG, TURNS = 32 * MB, 8
HOUSE, LOOKS = 10_000, 30


async def reconcile(start: Start, size: Size) -> Figures:
    """The query that finds modules to update, over 10,000."""
    async with servers.folder("reconcile") as folder, Worker("bench.reconciling") as worker:
        figures = await worker.ask("look", folder=str(folder), modules=HOUSE, times=LOOKS)
    return {"look_p50": figures["p50"], "look_max": figures["max"], "due": figures["due"]}


async def downloads(start: Start, size: Size) -> Figures:
    """200 boards fetch 1 MB over HTTP at once, beside 1,000 MQTT messages a second."""
    async with under_load(start, DEVICES + FETCHERS) as (server, load), Worker("bench.boards") as boards:
        await load.ask("listen", **reader(server))
        await load.ask("connect", count=DEVICES)
        names = server.devices[DEVICES:]
        await boards.ask("come", port=server.mqtt_port, names=names)
        await assign(server, names, MB)
        await boards.ask("offered")
        await quiet(server)
        alone = await load.ask("mixed", rate=MESSAGES_A_S, seconds=size.mixed_s / 2)
        before = server.memory()
        meanwhile, fetched, most = await asyncio.gather(
            load.ask("mixed", rate=MESSAGES_A_S, seconds=size.mixed_s / 2),
            _soon(boards.ask("over_http")),
            _watched(server, size.mixed_s / 2),
        )
    return {
        "seconds": fetched["seconds"], "mb_per_s": FETCHERS / fetched["seconds"],
        "broken": fetched["broken"], "growth_mb": (most - before) / MB,
        "alone_puback_p99": alone["puback"]["p99"], "mixed_puback_p50": meanwhile["puback"]["p50"],
        "mixed_puback_p99": meanwhile["puback"]["p99"], "mixed_puback_max": meanwhile["puback"]["max"],
        "mixed_event_p99": meanwhile["event"]["p99"], "missing": meanwhile["missing"],
    }  # fmt: skip


async def _soon(work: Any) -> Any:
    """A little after the load has begun."""
    await asyncio.sleep(REST_S / 2)
    return await work


async def _watched(server: Server, seconds: float) -> int:
    """The most memory it had meanwhile."""
    most = 0
    for _ in range(int(seconds * 10)):
        most = max(most, server.memory())
        await asyncio.sleep(0.1)
    return most


async def one_file(start: Start, size: Size) -> Figures:
    """One board after another fetches 32 MB over HTTP from the gateway, and the same file from nginx."""
    data = secrets.token_bytes(BIG)
    async with start(1) as server, Worker("bench.boards") as boards, servers.nginx(data) as peer:
        await boards.ask("come", port=server.mqtt_port, names=server.devices)
        await assign(server, server.devices, data)
        url = await boards.ask("offered")
        ours, theirs = [], []
        for _ in range(size.rounds):
            ours.append(await boards.ask("rate", url=url, times=TURNS))
            if peer is not None:
                theirs.append(
                    await boards.ask("rate", url=f"http://127.0.0.1:{peer.web_port}/image", times=TURNS)
                )
    figures = {"mb_per_s": max(ours) / MB}
    if theirs:
        figures |= {"nginx_mb_per_s": max(theirs) / MB, "of_nginx": max(ours) / max(theirs)}
    return figures


async def chunks(start: Start, size: Size) -> Figures:
    """1 MB over MQTT in parts of 1 kB: one board alone, then 20 at once."""
    async with start(FAIR) as server, Worker("bench.boards") as boards:
        await boards.ask("come", port=server.mqtt_port, names=server.devices)
        await assign(server, server.devices, MB)
        await boards.ask("offered")
        alone = await boards.ask("over_mqtt", count=1, length=CHUNK)
        together = await boards.ask("over_mqtt", count=FAIR, length=CHUNK)
    seconds = together["seconds"]
    return {
        "alone_s": alone["seconds"][0], "first_s": min(seconds), "last_s": max(seconds),
        "spread": (max(seconds) - min(seconds)) / max(seconds),
        "broken": alone["broken"] + together["broken"],
    }  # fmt: skip


# The gateway's REST


async def assign(server: Server, names: list[list[str]], image: bytes | int) -> None:
    """Upload an image and assign it to all of them."""
    data = secrets.token_bytes(image) if isinstance(image, int) else image
    await asyncio.to_thread(_assign, server, names, data)


def _assign(server: Server, names: list[list[str]], data: bytes) -> None:
    fields = {"serial": f"bench-{secrets.token_hex(4)}", "version": "1", "type": str(GENERIC)}
    id = _upload(server, fields, data)["id"]
    for name, _ in names:
        _call(
            server,
            "PUT",
            f"/modules/{name}/firmware",
            "application/json",
            json.dumps({"firmware_id": id}).encode(),
        )


def _upload(server: Server, fields: dict[str, str], data: bytes) -> Any:
    mark = secrets.token_hex(16)
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="image"\r\n\r\n'
    body = "".join([*parts, head]).encode() + data + f"\r\n--{mark}--\r\n".encode()
    return _call(server, "POST", "/firmware", f"multipart/form-data; boundary={mark}", body)


def _call(server: Server, method: str, path: str, kind: str, body: bytes) -> Any:
    headers = {"Content-Type": kind, "Authorization": f"Bearer {server.browser_token}"}
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.web_port}/api/v1{path}", body, headers, method=method
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
