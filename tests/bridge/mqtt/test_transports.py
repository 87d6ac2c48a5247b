"""The same door over TLS, over websockets, and on uvloop."""

import asyncio
import os
import socket
import ssl
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import connect as websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bridge.mqtt.embedded import EmbeddedLink, Listener
from bridge.mqtt.limits import Limits
from bridge.mqtt.websocket import MqttWebsocket

from .client import GOODBYE, PING, Client, connect, dial, publish, subscribe, until
from .support import ForgetfulStore, OpenGatekeeper, RecordingReceiver, open_broker

pytestmark = pytest.mark.anyio

HELLO = bytes((0x20, 2, 0, 0))
PONG = bytes((0xD0, 0))


@asynccontextmanager
async def on_http(**limits):
    """The broker with its websocket application on a port of its own."""
    async with open_broker(**limits) as broker:
        application = Starlette(routes=[Mount("/mqtt", MqttWebsocket(broker.link))])
        config = uvicorn.Config(
            application, port=0, log_level="error", ws="websockets-sansio", lifespan="off"
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        try:
            yield broker, server.servers[0].sockets[0].getsockname()[1]
        finally:
            server.should_exit = True
            await serving


def dial_websocket(port, **options):
    return websocket(f"ws://127.0.0.1:{port}/mqtt/", **{"subprotocols": ["mqtt"], **options})


async def test_websocket_carries_packets_however_they_are_framed():
    async with (
        on_http() as (_, port),
        websocket(f"ws://127.0.0.1:{port}/mqtt/", subprotocols=["mqtt"]) as one,
    ):
        assert one.subprotocol == "mqtt"
        await one.send(connect("w")[:5])
        await one.send(connect("w")[5:] + subscribe(1, ("a", 0)) + publish("a", b"x")[:4])
        await one.send(publish("a", b"x")[4:])
        await one.send(PING)
        said = b""
        while PONG not in said or publish("a", b"x") not in said:
            said += await one.recv()
        assert said.startswith(HELLO + bytes((0x90, 3, 0, 1, 0)))
        await one.send(GOODBYE)
        with pytest.raises(ConnectionClosed):
            await one.recv()


async def test_websocket_refuses_what_is_not_mqtt():
    receiver = RecordingReceiver()
    async with on_http(receiver=receiver) as (broker, port):
        with pytest.raises(InvalidStatus):
            async with dial_websocket(port, subprotocols=None):
                pass
        async with dial_websocket(port) as one:
            await one.send(connect("w", will=("w", b"", 0, 0)))
            assert await one.recv() == HELLO
            await one.send("text")
            with pytest.raises(ConnectionClosed) as closed:
                await one.recv()
            assert closed.value.rcvd.code == 1003
        async with dial_websocket(port) as one:
            await one.send(b"\x00\x00")
            with pytest.raises(ConnectionClosed):
                await one.recv()
        await until(lambda: broker.stats()["connections"] == 0)
        assert receiver.told == [("connected", "w"), ("disconnected", "w", "will")]


UPGRADE = (
    b"GET /mqtt/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
)


def frame(data):
    """A binary frame, masked with zeros."""
    return bytes((0x82, 0x80 | len(data), 0, 0, 0, 0)) + data


async def test_a_websocket_that_does_not_read_is_cut():
    async with on_http(write_buffer_bytes=100_000) as (broker, port):
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", port))
            deaf.setblocking(False)
            deaf.sendall(UPGRADE)
            assert b" 101 " in await asyncio.get_running_loop().sock_recv(deaf, 1000)
            deaf.sendall(frame(connect("w")) + frame(subscribe(1, ("a", 0))))
            await until(lambda: broker.stats()["subscriptions"] == 1)
            while not broker.stats()["too_slow"]:
                broker.link.publish("a", b"x" * 50_000, qos=0)
                await asyncio.sleep(0)
            await until(lambda: broker.stats()["connections"] == 0)


@pytest.fixture
def certificate(tmp_path):
    """(certificate, key): self-signed."""
    paths = tmp_path / "cert.pem", tmp_path / "key.pem"
    asked = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    named = ("-addext", "subjectAltName=DNS:localhost", "-out", paths[0], "-keyout", paths[1])
    subprocess.run(["openssl", *asked.split(), *named], check=True, capture_output=True)
    return paths


async def test_tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    trusting = ssl.create_default_context(cafile=certificate[0])
    link = EmbeddedLink(
        ForgetfulStore(), OpenGatekeeper(), RecordingReceiver(), (Listener(), Listener(tls=context))
    )
    async with link:
        one = Client(
            *await asyncio.open_connection(
                "127.0.0.1", link.ports[1], ssl=trusting, server_hostname="localhost"
            )
        )
        assert (await one.ask(connect("t"))).body == b"\0\0"
        await one.ask(subscribe(1, ("a", 1)))
        one.send(publish("a", b"x" * 100_000))
        assert (await one.message()).payload == b"x" * 100_000
        plain = Client(*await asyncio.open_connection("127.0.0.1", link.ports[1]))
        plain.send(connect("p"))
        assert await plain.closed()
        plain.writer.close()
        assert await one.quiet()
        await one.leave()


async def test_uvloop(tmp_path):
    """The other files' tests again, in a process whose loop is uvloop."""
    if os.environ.get("PASSERELLE_TEST_LOOP"):
        return
    names = ("test_delivery.py", "test_sessions.py", "test_malformed.py", "test_transports.py")
    here = os.path.dirname(__file__)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"),
        *(os.path.join(here, name) for name in names),
        env={**os.environ, "PASSERELLE_TEST_LOOP": "uvloop"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def test_sockets_without_a_handshake_are_capped(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    secure = {"ssl": ssl.create_default_context(cafile=certificate[0]), "server_hostname": "localhost"}
    parts = ForgetfulStore(), OpenGatekeeper(), RecordingReceiver(), (Listener(tls=context),)
    async with EmbeddedLink(*parts, Limits(strangers_per_address=5)) as link:
        idle = [await dial(link.ports[0]) for _ in range(8)]
        await until(lambda: link.stats()["connections_refused"] == 3)
        for one in idle:
            one.writer.close()
        await until(lambda: link.door.census.total == 0)
        one = Client(*await asyncio.open_connection("127.0.0.1", link.ports[0], **secure))
        one.send(connect("t") + PING)
        assert [(await one.read()).body for _ in range(2)] == [b"\0\0", b""]
        await one.leave()
