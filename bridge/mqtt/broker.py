"""amqtt behind our door: its packets, its sessions' life and its broker context, on our exchange.

Nothing of amqtt listens; the door feeds an external listener packets it has already checked. What is mended,
override by override, and the test in tests/bridge/mqtt that fails without it:

LeanSession                 a state machine and two queues per session, 40 KB (test_memory_of_an_idle_device)
DoorHandler.__init__        two queues, an event, four tables per connection, 8 KB (the same)
  .init_from_connect        checks that close late or not at all; ours are done (test_malformed.py)
  .serve                    a task per packet, so order is lost (test_order_and_nothing_lost_..)
  .handle_publish           an answer before anything is stored (test_kill_9_loses_nothing_acknowledged)
  .handle_subscribe         likewise SUBACK (test_sessions_subscriptions_queues_and_retained_..)
  .handle_unsubscribe       likewise UNSUBACK
FrontedBroker
  ._handle_client_session   four waiting tasks per connection, take-over by sleeping (test_takeover_..)
  .add_subscription         lists that are scanned, the first QoS for ever (test_subscribing_again_..)
  ._broadcast_message       all filters scanned, the publisher's QoS lost (test_delivered_with_the_lower_qos)
  .retain_message           forgotten at a restart (test_persistence.py)
  ._session_monitor         walks all sessions each second; the exchange forgets sessions itself

What amqtt still carries is thin: it parses again what the door has parsed, and builds CONNACK, SUBACK and
UNSUBACK. Measured with 0.12.1: 13 of the 35 us that a message routed to one other session costs, and about 3
of the 13 KB of an idle connection. The fast path to the gateway does not pass here.
"""

import asyncio
from functools import partial
from typing import Any, cast

from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.broker import Broker, BrokerContext, Server
from amqtt.contexts import BrokerConfig
from amqtt.mqtt import packet_class
from amqtt.mqtt.connect import ConnectPacket
from amqtt.mqtt.packet import PUBLISH, SUBSCRIBE, UNSUBSCRIBE, MQTTFixedHeader
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.mqtt.publish import PublishPacket
from amqtt.mqtt.suback import SubackPacket
from amqtt.mqtt.subscribe import SubscribePacket
from amqtt.mqtt.unsuback import UnsubackPacket
from amqtt.mqtt.unsubscribe import UnsubscribePacket
from amqtt.plugins.manager import PluginManager
from amqtt.session import Session as AmqttSession

from bridge.mqtt.adapters import DoorReader
from bridge.mqtt.exchange import REFUSED, Exchange
from bridge.mqtt.message import Message

LISTENER = "default"
CONFIG = {"listeners": {LISTENER: {"type": "external", "bind": "the door"}}, "plugins": {}}


class _State:
    """The two states amqtt asks about, without a machine."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = "new"

    def connect(self) -> None:
        self.state = "connected"

    def disconnect(self) -> None:
        self.state = "disconnected"

    def is_connected(self) -> bool:
        return self.state == "connected"


class LeanSession(AmqttSession):
    """Only what is used; the exchange keeps the rest."""

    def __init__(self, client_id: str, clean_session: bool) -> None:
        self.transitions = cast(Any, _State())
        self.client_id = client_id
        self.clean_session = clean_session
        self.keep_alive = 0
        self.parent = 0
        self.remote_address = self.remote_port = None


class DoorHandler(BrokerProtocolHandler):
    """One connection: packets come in order from the door and are dealt with in order, in one task."""

    exchange: Exchange

    def __init__(
        self,
        plugins_manager: PluginManager[BrokerContext],
        session: AmqttSession | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.plugins_manager = plugins_manager
        self.session = session
        self.reader = self.writer = None
        self._keepalive_task = None
        self._write_lock = asyncio.Lock()

    @classmethod
    async def init_from_connect(
        cls,
        reader: ReaderAdapter,
        writer: WriterAdapter,
        plugins_manager: PluginManager[BrokerContext],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> tuple[BrokerProtocolHandler, AmqttSession]:
        packet = await ConnectPacket.from_stream(reader)
        session = LeanSession(packet.client_id or "", packet.clean_session_flag)
        return cls(plugins_manager, loop=loop), session

    @property
    def door(self) -> DoorReader:
        return cast(DoorReader, self.reader)

    async def serve(self) -> None:
        while (header := await MQTTFixedHeader.from_stream(self.door)) is not None:
            packet = await packet_class(header).from_stream(self.door, fixed_header=header)
            await _HANDLERS[header.packet_type](self, packet)
            if header.packet_type != PUBLISH:
                self.door.handled()

    async def handle_publish(self, publish_packet: PublishPacket) -> None:
        """Route to others; the acknowledgement waits for the door's side and for what this changed."""
        pending = self.door.tickets.popleft()
        message = Message(
            publish_packet.topic_name or "",
            bytes(publish_packet.data or b""),
            publish_packet.qos or 0,
            publish_packet.retain_flag,
        )
        if message.retain:
            self.exchange.retain(message)
        durable = self.exchange.deliver(message) or message.retain
        if pending is not None:
            pending.durable |= durable
            pending.done()

    async def handle_subscribe(self, subscribe: SubscribePacket) -> None:
        asked = subscribe.payload.topics if subscribe.payload else []
        session = self.door.session
        if self.exchange.sessions.get(session.key) is not session:
            return  # it ended while this waited
        codes = [self.exchange.subscribe(session, topic_filter, qos) for topic_filter, qos in asked]
        number = subscribe.variable_header.packet_id if subscribe.variable_header else 0
        granted = [(text, code) for (text, _), code in zip(asked, codes, strict=True) if code != REFUSED]
        self._when_stored(partial(self._subscribed, SubackPacket.build(number, codes).to_bytes(), granted))

    def _subscribed(self, suback: bytes, granted: list[tuple[str, int]]) -> None:
        door = self.door
        self._answer(suback)
        door.subscribed([topic_filter for topic_filter, _ in granted])
        for topic_filter, qos in granted:
            self.exchange.send_retained(door.session, topic_filter, qos)

    async def handle_unsubscribe(self, unsubscribe: UnsubscribePacket) -> None:
        for topic_filter in unsubscribe.payload.topics if unsubscribe.payload else []:
            self.exchange.unsubscribe(self.door.session, topic_filter)
        number = unsubscribe.variable_header.packet_id if unsubscribe.variable_header else 0
        self._when_stored(partial(self._answer, UnsubackPacket.build(number).to_bytes()))

    def _when_stored(self, call: Any) -> None:
        if self.door.session.persistent:
            self.exchange.state.when_stored(call)
        else:
            call()

    def _answer(self, packet: bytes) -> None:
        if self.writer is not None:
            self.writer.write(packet)


_HANDLERS: dict[int, Any] = {
    PUBLISH: DoorHandler.handle_publish,
    SUBSCRIBE: DoorHandler.handle_subscribe,
    UNSUBSCRIBE: DoorHandler.handle_unsubscribe,
}


class FrontedBroker(Broker):
    def __init__(self, exchange: Exchange) -> None:
        super().__init__(BrokerConfig.from_dict(CONFIG))
        self.exchange = exchange

    async def _session_monitor(self) -> None:
        """Nothing to watch."""

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, AmqttSession]:
        handler, session = await DoorHandler.init_from_connect(reader, writer, self.plugins_manager)
        cast(DoorHandler, handler).exchange = self.exchange
        session.remote_address, session.remote_port = remote_address, remote_port
        session.parent = int(cast(DoorReader, reader).present)
        return handler, session

    async def _handle_client_session(
        self,
        reader: ReaderAdapter,
        writer: WriterAdapter,
        client_session: AmqttSession,
        handler: BrokerProtocolHandler,
        server: Server,
        listener_name: str,
    ) -> None:
        key, ours = client_session.client_id or "", (client_session, handler)
        client_session.transitions.connect()
        handler.attach(client_session, reader, writer)
        self._sessions[key] = ours
        try:
            await handler.mqtt_connack_authorize(True)
            cast(DoorReader, reader).attached()
            await cast(DoorHandler, handler).serve()
        finally:
            client_session.transitions.disconnect()
            if self._sessions.get(key) is ours:
                del self._sessions[key]

    async def add_subscription(self, subscription: tuple[str, int], session: AmqttSession) -> int:
        return self.exchange.subscribe(self.exchange.sessions[session.client_id or ""], *subscription)

    async def _broadcast_message(
        self,
        session: AmqttSession | None,
        topic: str | None,
        data: bytes | bytearray | None,
        force_qos: int | None = None,
    ) -> None:
        self.exchange.deliver(Message(topic or "", bytes(data or b""), force_qos or 0))

    async def retain_message(
        self,
        source_session: AmqttSession | None,
        topic_name: str | None,
        data: bytes | bytearray | None,
        qos: int | None = None,
    ) -> None:
        self.exchange.retain(Message(topic_name or "", bytes(data or b""), qos or 0, True))

    async def _cleanup_session(self, client_id: str) -> None:
        """At shutdown; the door has ended the connections already."""
        self._sessions.pop(client_id, None)
