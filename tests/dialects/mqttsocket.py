"""A module on MQTT (paho): a topic below the root is an event, its decoded payload the argument."""

import json
import socket
import threading
from contextlib import suppress
from typing import Any

import paho.mqtt.client as paho

from .talker import PATIENCE_S, Refused, Talker

ROOT = "gw/1/"


class MqttSocket(Talker):
    """`id` and `token` empty: a device that enrols, its client id `nonce`; programs have no `will`."""

    def __init__(self, port: int, id: str = "", token: str = "", nonce: str = "", will: bool = True) -> None:
        super().__init__(f"MQTT ({id or nonce})")
        self._client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, nonce or id, reconnect_on_failure=False, protocol=paho.MQTTv311
        )
        self._answered, self._subscribed = threading.Event(), threading.Event()
        self._code: Any = None
        self.granted: list[Any] = []
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_subscribe = self._suback
        self._client.on_message = self._message
        if id:
            self._client.username_pw_set(id, token)
        if id and will:
            self._client.will_set(f"{ROOT}{id}/up/availability", "offline", 1, True)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        if not self._answered.wait(PATIENCE_S) or self._code.is_failure:
            self.close()
            raise Refused(str(self._code))

    def _connected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._code = reason
        self._answered.set()

    def _disconnected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self.note_gone(reason)

    def _suback(self, client: Any, userdata: Any, mid: int, codes: Any, properties: Any) -> None:
        self.granted = codes
        self._subscribed.set()

    def _message(self, client: Any, userdata: Any, message: Any) -> None:
        payload: Any = message.payload.decode()
        with suppress(ValueError):
            payload = json.loads(payload)
        self.note(message.topic.removeprefix(ROOT), payload)

    def subscribe(self, *topics: str) -> None:
        self._subscribed.clear()
        self._client.subscribe([(ROOT + topic, 1) for topic in topics])
        assert self._subscribed.wait(PATIENCE_S), f"no answer to {topics}"
        assert not any(code.is_failure for code in self.granted), f"{topics} refused: {self.granted}"

    def say(self, event: str, *args: Any) -> None:
        """Publish with QoS 1; without an argument the payload is empty. Returns once it is acknowledged."""
        payload = json.dumps(args[0]) if args else ""
        self._client.publish(ROOT + event, payload, 1).wait_for_publish(PATIENCE_S)

    def leave(self) -> None:
        self._client.disconnect()

    def break_off(self) -> None:
        """No DISCONNECT: the will is due."""
        if (open_socket := self._client.socket()) is not None:
            open_socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
