"""A broker that does just what a test tells it, packet by packet."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ = 1, 2, 3, 4, 8, 9, 12
PATIENCE_S = 60


def text(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


@dataclass(frozen=True)
class Packet:
    kind: int
    flags: int
    body: bytes

    @property
    def topic(self) -> str:
        return self.body[2 : 2 + int.from_bytes(self.body[:2], "big")].decode()

    @property
    def pid(self) -> int:
        """Of a PUBLISH with QoS 1, or of anything that starts with it."""
        start = 2 + len(self.topic) if self.kind == PUBLISH else 0
        return int.from_bytes(self.body[start : start + 2], "big")

    @property
    def payload(self) -> bytes:
        return self.body[2 + len(self.topic) + (2 if self.flags & 6 else 0) :]


class Link:
    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        peer.settimeout(PATIENCE_S)

    def read(self) -> Packet:
        first = self._exactly(1)[0]
        length = shift = 0
        while True:
            byte = self._exactly(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return Packet(first >> 4, first & 15, self._exactly(length))

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._peer.recv(size - len(data))
            if not part:
                raise EOFError("the device has closed the connection")
            data += part
        return data

    def send(self, kind: int, body: bytes, flags: int = 0) -> None:
        head = bytearray((kind << 4 | flags,))
        length = len(body)
        while length > 127:
            head.append(length & 127 | 128)
            length >>= 7
        self.raw(bytes(head) + bytes((length,)) + body)

    def raw(self, data: bytes) -> None:
        self._peer.sendall(data)

    def publish(self, topic: str, payload: bytes, pid: int, flags: int = 2) -> None:
        self.send(PUBLISH, text(topic.encode()) + pid.to_bytes(2, "big") + payload, flags)

    def say(self, topic: str, body: object, pid: int, dup: bool = False) -> None:
        self.publish(topic, json.dumps(body).encode(), pid, 10 if dup else 2)

    def until(self, kind: int, topic: str = "", acknowledge: bool = True) -> Packet:
        """Read up to a packet of this kind (and topic), answering everything on the way as a broker does."""
        while True:
            packet = self.read()
            if acknowledge:
                self.answer(packet)
            if packet.kind == kind and (not topic or packet.topic == topic):
                return packet

    def answer(self, packet: Packet) -> None:
        if packet.kind == SUBSCRIBE:
            self.send(SUBACK, packet.body[:2] + b"\1")
        elif packet.kind == PINGREQ:
            self.send(PINGREQ + 1, b"")
        elif packet.kind == PUBLISH and packet.flags & 6:
            self.send(PUBACK, packet.pid.to_bytes(2, "big"))

    def closed(self) -> bool:
        """Wait until the device has closed the connection."""
        try:
            while True:
                self.read()
        except (EOFError, ConnectionError):
            return True


class ScriptedBroker:
    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(PATIENCE_S)
        self.port = self._server.getsockname()[1]

    def close(self) -> None:
        self._server.close()

    @contextmanager
    def accept(self, answer: int = 0) -> Iterator[tuple[Link, Packet]]:
        """The next connection, its CONNECT read and answered with this return code."""
        peer, _ = self._server.accept()
        with peer:
            link = Link(peer)
            hello = link.read()
            assert hello.kind == CONNECT
            link.send(CONNACK, bytes((0, answer)))
            yield link, hello
