"""The roof: the one place where the parts meet. Read top to bottom; closed in reverse."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Protocol

import socketio
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from bridge.mqtt.admission import Admission
from bridge.mqtt.embedded import EmbeddedLink, Listener
from bridge.mqtt.limits import Limits
from bridge.mqtt.outward import Outward
from bridge.mqtt.updating import Updating
from bridge.mqtt.uplink import Uplink
from bridge.mqtt.websocket import MqttWebsocket
from bridge.sockets.browsers import Browsers
from bridge.sockets.clients import Clients
from bridge.sockets.compat import Compat
from bridge.sockets.esp32 import Esp32
from bridge.sockets.gate import Gate
from bridge.sockets.hall import Hall
from bridge.sockets.modules import Modules
from bridge.sockets.nodes import Nodes
from bridge.sockets.server import make_server
from bridge.tasks import Tasks
from bridge.topics import Topics
from firmware.house import Firmware, open_firmware
from gateway.backup.making import BackupMaker
from gateway.control import Control
from gateway.core.core import Core, open_core
from gateway.couriers import employ
from gateway.duties import Duties
from gateway.settings import Settings
from gateway.shipping import Shipping
from gateway.tls.keeper import Tls
from web.app import create_app
from web.render import HERE
from web.site import Roof

SOCKET_IO_SCRIPT = HERE / "static" / "vendor" / "socket.io.js"


@dataclass(frozen=True, slots=True)
class Gateway:
    """What is open: the heart, firmware, the link to devices, and the application for browsers."""

    core: Core
    firmware: Firmware
    link: EmbeddedLink
    app: ASGIApp


Beside = Callable[[Gateway], AbstractAsyncContextManager[object]]


@asynccontextmanager
async def open_gateway(settings: Settings, tls: Tls | None = None) -> AsyncIterator[Gateway]:
    """`tls` is what the web shows, where it shows any; MQTT shows the same."""
    tls = tls or Tls(settings)
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(open_core(settings))
        firmware = await stack.enter_async_context(open_firmware(core))
        await stack.enter_async_context(Control(core))
        topics = Topics(settings.topic_root)

        # Devices: up through the uplink, down through the link.
        tasks = await stack.enter_async_context(Tasks())
        uplink = Uplink(core, topics)
        admission = Admission(topics, core.registry, core.services)
        listener = Listener(settings.mqtt_host, settings.mqtt_port, await asyncio.to_thread(tls.open))
        limits = Limits() if settings.rate_limits else Limits().unlimited()
        link = EmbeddedLink(core.store, admission, uplink, (listener,), limits, topics)
        uplink.answer_through(link, tasks)
        uplink.update_through(Updating(core, topics, link, firmware.offers))
        outward = Outward(core, topics, link)

        # Pages and calls over HTTP; events and modules over Socket.IO; MQTT and ESP32 over websocket.
        sio = make_server(settings.public_url)
        hall = Hall(sio, Compat(settings.compat_dialects), rate_limits=settings.rate_limits)
        received = _counting(core, hall, link)
        dialects = _dialects(core, hall, link, received)
        backups = await asyncio.to_thread(_backups, core)
        roof = Roof(_link_counts(link, uplink), tls, backups, topics.topic, lambda: asdict(limits))
        web = create_app(core, firmware, mounts=_websockets(core, tasks, link), roof=roof)

        await stack.enter_async_context(link)
        duties = await stack.enter_async_context(Duties())
        duties.watch(core.store.writer)
        _keep_time(duties, core, firmware)
        duties.start(tls.run(core.hub), "certificates")
        duties.start(outward.run(), "out topics")
        for name, dialect in dialects.items():
            duties.start(dialect.run(), name)
        yield Gateway(core, firmware, link, Gate(socketio.ASGIApp(sio, web), hall.stops))


def _link_counts(link: EmbeddedLink, uplink: Uplink) -> Callable[[], dict[str, int]]:
    return lambda: link.stats() | {"set_aside": uplink.set_aside.total()}


def _backups(core: Core) -> BackupMaker:
    maker = BackupMaker(core)
    maker.clear()
    return maker


def _keep_time(duties: Duties, core: Core, firmware: Firmware) -> None:
    """What is done again and again, whoever speaks."""
    duties.start(core.tick_for_ever(), "clock")
    duties.start(core.keeping.run(), "history")
    duties.start(firmware.tick_for_ever(), "updates")
    duties.start(firmware.reconcile.run(), "reconcile")
    duties.start(core.audit.keep_anchored(), "audit anchor")
    employ(core.alerting.post, core.settings.url)
    duties.start(core.alerting.post.run(), "notifications")
    if core.settings.logstash_url:
        duties.start(Shipping(core).run(), "audit lines")


def _websockets(core: Core, tasks: Tasks, link: EmbeddedLink) -> list[WebSocketRoute]:
    return [WebSocketRoute("/mqtt", MqttWebsocket(link)), WebSocketRoute("/esp32", Esp32(core, tasks))]


class Runs(Protocol):
    async def run(self) -> None:
        """For ever."""


def _counting(core: Core, hall: Hall, link: EmbeddedLink) -> Callable[[], int]:
    """How many messages have come from outside, over all transports."""

    def received() -> int:
        return link.stats()["messages_in"] + hall.events

    core.pulse.count_messages(received)
    return received


def _dialects(core: Core, hall: Hall, link: EmbeddedLink, received: Callable[[], int]) -> dict[str, Runs]:
    """Who is spoken to over Socket.IO, all in one hall."""
    return {
        "sockets": hall,
        "browsers": Browsers(core, hall, received),
        "socket modules": Modules(core, hall),
        "socket programs": Clients(core, hall),
        "socket nodes": Nodes(core, hall),
    }


def make_app(settings: Settings, beside: Beside = nullcontext) -> Starlette:
    """The application that uvicorn serves; its lifespan owns every resource, and what runs `beside` it."""

    tls = Tls(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_gateway(settings, tls) as gateway, beside(gateway):
            app.state.gateway = gateway
            app.mount("/", gateway.app)
            yield

    async def socket_io_script(_: object) -> FileResponse:
        return FileResponse(SOCKET_IO_SCRIPT, media_type="text/javascript")

    app = Starlette(routes=[Route("/socket.io/socket.io.js", socket_io_script)], lifespan=lifespan)
    app.state.tls = tls
    return app
