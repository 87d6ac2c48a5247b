"""Modules that talk to the gateway through its deaths, and remember what was acknowledged."""

import json
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass

from tests.conformance import packets as mqtt
from tests.conformance.client import Client, Wire
from tests.conformance.packets import Ack, Connack, ServerFault

WINDOW = 20
CALM_S = 0.01
RETRY_S = 0.1
SILENCE_S = 10.0
MOST_IDS = 60_000


@dataclass(frozen=True)
class Account:
    id: str
    token: str

    def client(self, port: int, **more) -> Client:
        return Client(port, self.id, user=self.id, password=self.token.encode(), **more)

    def topic(self, *words: str) -> str:
        return "/".join(("gw/1", self.id, *words))


class Device(threading.Thread):
    """Comes back whenever the connection is lost, to a session that is kept, and sends again with DUP."""

    def __init__(self, port: int, account: Account) -> None:
        super().__init__(daemon=True, name=account.id)
        self.account = account
        self.sessions_lost = 0
        self.faults: list[str] = []
        self.goes_on = threading.Event()
        self._port = port
        self._stopping = threading.Event()
        self._met = False

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                with Wire(self._port) as wire:
                    self._greet(wire)
                    self.talk(wire)
            except ServerFault as fault:
                if "closed within a packet" not in str(fault):
                    self.faults.append(str(fault))
            except OSError:
                pass
            time.sleep(RETRY_S)

    def _greet(self, wire: Wire) -> None:
        me = self.account
        wire.send(mqtt.connect(me.id, clean=False, user=me.id, password=me.token.encode()))
        answer = wire.read(SILENCE_S)
        if answer is None:
            raise OSError("closed")
        if not isinstance(answer, Connack) or answer.code:
            self.faults.append(f"{me.id} was not let in: {answer}")
            raise OSError("refused")
        self.sessions_lost += self._met and not answer.session_present
        self._met = True

    def talk(self, wire: Wire) -> None:
        raise NotImplementedError

    def hear(self, wire: Wire) -> Ack:
        """The next acknowledgement."""
        while not self._stopping.is_set():
            packet = wire.read(SILENCE_S)
            if packet is None:
                raise OSError("closed")
            if isinstance(packet, Ack):
                return packet
        raise OSError("stopping")

    def stop(self) -> None:
        self._stopping.set()
        self.join(30)
        assert not self.is_alive()


class Reporter(Device):
    """QoS 1, up to a window under way; each message carries a number, counted from 1."""

    def __init__(self, port: int, account: Account, *, event: str = "", calm_s: float = CALM_S) -> None:
        super().__init__(port, account)
        self.acked: list[int] = []
        self.sent: Counter[int] = Counter()
        self._number = 0
        self._flying: deque[int] = deque()
        self._calm_s = calm_s
        self._event = event

    def _packet(self, number: int) -> bytes:
        if self._event:
            topic = self.account.topic("up", "event", self._event)
            values = dict(zip(("red", "green", "blue"), number.to_bytes(3, "big"), strict=True))
        else:
            topic, values = self.account.topic("up", "telemetry"), {"n": number}
        payload, again = json.dumps(values).encode(), bool(self.sent[number])
        self.sent[number] += 1
        return mqtt.publish(topic, payload, qos=1, dup=again, id=number % MOST_IDS + 1)

    def talk(self, wire: Wire) -> None:
        wire.send(*(self._packet(number) for number in self._flying))
        while not self._stopping.is_set():
            fresh = []
            while len(self._flying) < (1 if self._event else WINDOW):
                self._number += 1
                self._flying.append(self._number)
                fresh.append(self._packet(self._number))
            wire.send(*fresh)
            self._acknowledged(self.hear(wire).id)
            if self._number % WINDOW == 0 or self._event:
                time.sleep(self._calm_s)

    def _acknowledged(self, id: int) -> None:
        number = self._flying.popleft()
        if id != number % MOST_IDS + 1:
            self.faults.append(f"PUBACK {id} out of turn, due was that of {number}")
        self.acked.append(number)
        self.goes_on.set()


class Exact(Device):
    """QoS 2, one after another, each step taken up again where it was left."""

    def __init__(self, port: int, account: Account) -> None:
        super().__init__(port, account)
        self.done: list[int] = []
        self._number = 1
        self._received = False
        self._again = False

    def talk(self, wire: Wire) -> None:
        while not self._stopping.is_set():
            id = self._number % MOST_IDS + 1
            if not self._received:
                self._publish(wire, id)
            wire.send(mqtt.ack(mqtt.PUBREL, id))
            self._until(wire, Ack(mqtt.PUBCOMP, id))
            self.done.append(self._number)
            self.goes_on.set()
            self._number, self._received, self._again = self._number + 1, False, False

    def _publish(self, wire: Wire, id: int) -> None:
        payload = json.dumps({"n": self._number}).encode()
        topic = self.account.topic("up", "telemetry")
        wire.send(mqtt.publish(topic, payload, qos=2, dup=self._again, id=id))
        self._again = True
        self._until(wire, Ack(mqtt.PUBREC, id))
        self._received = True

    def _until(self, wire: Wire, wanted: Ack) -> None:
        if (heard := self.hear(wire)) != wanted:
            self.faults.append(f"{heard} came for {wanted}")
