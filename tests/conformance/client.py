"""A raw, synchronous test client: sends any bytes, reads strictly, acknowledges as it is told."""

import secrets
import socket
import time
from collections import deque

from . import packets as mqtt
from .packets import Ack, Connack, Packet, Pingresp, Publish, ServerFault, Suback

PATIENCE_S = 15.0


class Closed(AssertionError):
    """The server closed the connection while the test still waited for something."""


class Wire:
    """One TCP connection on which whole packets are read."""

    def __init__(self, port: int):
        self.port = port
        self.buffer = b""
        self.eof = False
        self.sock: socket.socket | None = None

    def __enter__(self):
        self.sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self

    def __exit__(self, *reason):
        self.cut()

    def cut(self) -> None:
        """End the connection without DISCONNECT."""
        self.sock.close()

    def send(self, *data: bytes) -> None:
        """Send; a server that has already closed is seen when reading."""
        try:
            self.sock.sendall(b"".join(data))
        except (BrokenPipeError, ConnectionResetError):
            self.eof = True

    def finish(self) -> None:
        """Half-close: nothing more comes from us."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.eof = True

    def read(self, timeout: float = PATIENCE_S) -> Packet | None:
        """The next packet, None when the server closed; TimeoutError when neither came."""
        deadline = time.monotonic() + timeout
        while not (whole := mqtt.cut(self.buffer)):
            self.sock.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self.sock.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                data = b""
            if not data:
                self.eof = True
                if self.buffer:
                    raise ServerFault(f"closed within a packet: {self.buffer[:64].hex(' ')}")
                return None
            self.buffer += data
        first, body, end = whole
        self.buffer = self.buffer[end:]
        return mqtt.read(first, body)

    def read_all(self, timeout: float = PATIENCE_S) -> list[Packet]:
        """Every packet until the server closes; TimeoutError if it does not."""
        deadline = time.monotonic() + timeout
        found = []
        while (packet := self.read(max(deadline - time.monotonic(), 0.001))) is not None:
            found.append(packet)
        return found


class Client(Wire):
    """An MQTT client. `acks`: "all", "none" or "half" (PUBREC, but neither PUBACK nor PUBCOMP)."""

    def __init__(self, port: int, client_id: str = "", acks: str = "all", **connect):
        super().__init__(port)
        self.client_id = client_id
        self.acks = acks
        self.connect = connect
        self.connack: Connack | None = None
        self.messages: deque[Publish] = deque()
        self.control: deque[Packet] = deque()
        self.unfinished: dict[int, Publish] = {}
        self.last_id = 0
        self.private = ""

    def __enter__(self):
        super().__enter__()
        self.send(mqtt.connect(self.client_id, **self.connect))
        first = self.read()
        if not isinstance(first, Connack):
            raise ServerFault(f"the first packet must be CONNACK [MQTT-3.2.0-1], not {first}")
        self.connack = first
        assert first.code == 0, first
        return self

    @property
    def session_present(self) -> bool:
        return self.connack.session_present

    def new_id(self) -> int:
        self.last_id = self.last_id % 65535 + 1
        return self.last_id

    # --- reading

    def pump(self, timeout: float = PATIENCE_S) -> Packet:
        """Read one packet, keep it where it belongs and acknowledge it."""
        packet = self.read(timeout)
        if packet is None:
            raise Closed(f"{self.client_id}: closed by the server")
        if isinstance(packet, Publish):
            self.on_publish(packet)
        else:
            self.control.append(packet)
            if isinstance(packet, Ack) and packet.kind == mqtt.PUBREL:
                self.on_pubrel(packet)
        return packet

    def on_publish(self, message: Publish) -> None:
        if message.id in self.unfinished:
            raise ServerFault(f"packet id in use: {message} and {self.unfinished[message.id]}")
        self.messages.append(message)
        if message.qos == 1 and self.acks == "all":
            self.send(mqtt.ack(mqtt.PUBACK, message.id))
        elif message.qos:
            self.unfinished[message.id] = message
        if message.qos == 2 and self.acks != "none":
            self.send(mqtt.ack(mqtt.PUBREC, message.id))

    def on_pubrel(self, release: Ack) -> None:
        if self.acks == "all":
            self.unfinished.pop(release.id, None)
            self.send(mqtt.ack(mqtt.PUBCOMP, release.id))

    def expect(self, wanted: Packet | type, timeout: float = PATIENCE_S) -> Packet:
        """Wait for this packet (or one of this class) among those that are not PUBLISH."""
        deadline = time.monotonic() + timeout
        while True:
            for packet in self.control:
                if packet == wanted or (isinstance(wanted, type) and isinstance(packet, wanted)):
                    self.control.remove(packet)
                    return packet
            self.pump(max(deadline - time.monotonic(), 0.001))

    def idle(self, seconds: float) -> None:
        """Take what comes in this time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                self.pump(left)
            except TimeoutError:
                return

    def idle_or_closed(self, seconds: float) -> None:
        """The same; `eof` tells whether the server closed."""
        try:
            self.idle(seconds)
        except Closed:
            return

    def wait_closed(self, timeout: float = PATIENCE_S) -> None:
        """Read until the server closes."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                self.pump(max(deadline - time.monotonic(), 0.001))
        except Closed:
            return

    # --- doing

    def subscribe(self, *filters: tuple[str, int] | str) -> tuple[int, ...]:
        """The return codes; a bare filter is asked for with QoS 0."""
        ident = self.new_id()
        pairs = [(f, 0) if isinstance(f, str) else f for f in filters]
        self.send(mqtt.subscribe(ident, *pairs))
        answer = self.expect(Suback)
        if answer.id != ident or len(answer.codes) != len(filters):
            raise ServerFault(f"[MQTT-3.8.4-2, -5] {answer} for {filters} with id {ident}")
        return answer.codes

    def unsubscribe(self, *filters: str) -> None:
        ident = self.new_id()
        self.send(mqtt.unsubscribe(ident, *filters))
        self.expect(Ack(mqtt.UNSUBACK, ident))

    def publish(self, topic: str, payload: bytes = b"", qos: int = 0, retain: bool = False) -> None:
        """Publish and see the whole handshake through."""
        ident = self.new_id() if qos else None
        self.send(mqtt.publish(topic, payload, qos=qos, retain=retain, id=ident))
        if qos == 1:
            self.expect(Ack(mqtt.PUBACK, ident))
        elif qos == 2:
            self.expect(Ack(mqtt.PUBREC, ident))
            self.send(mqtt.ack(mqtt.PUBREL, ident))
            self.expect(Ack(mqtt.PUBCOMP, ident))
        else:
            self.ping()

    def ping(self) -> None:
        """A barrier: what was sent before it has been read by the server."""
        self.send(mqtt.PING)
        self.expect(Pingresp)

    def receive(self, count: int = 1, timeout: float = PATIENCE_S) -> list[Publish]:
        """Wait for so many messages and take them."""
        deadline = time.monotonic() + timeout
        while len(self.messages) < count:
            self.pump(max(deadline - time.monotonic(), 0.001))
        return [self.messages.popleft() for _ in range(count)]

    def one(self) -> Publish:
        return self.receive()[0]

    def rest(self) -> list[Publish]:
        """What has come before a message that this client now sends to itself."""
        if not self.private:
            self.private = f"private/{secrets.token_hex(8)}"
            self.subscribe(self.private)
        mark = secrets.token_hex(4).encode()
        self.publish(self.private, mark, qos=1)
        found = []
        while (message := self.one()).payload != mark:
            found.append(message)
        self.ping()
        return found

    def disconnect(self) -> None:
        """Say goodbye and wait until the server has closed."""
        self.send(mqtt.BYE)
        self.wait_closed()
        self.cut()
