"""Modules with a radio and a flash, in a thread: what they are offered they fetch over HTTP, for real."""

import json
import threading
import time
from hashlib import sha256

import httpx
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

PATIENCE_S = 60
PIECE = 16 * 1024


class UpdatingDevice:
    """Entered, it is online. `slot` is what it runs: (serial, digest). `bad`: images it goes back from.

    `pause_s` after each piece makes a download that people can watch.
    """

    def __init__(
        self, url: str, port: int, id: str, token: str, *, pause_s: float = 0.0, bad: str = ""
    ) -> None:
        self.id = id
        self.slot = ("factory-1.0", "")
        self.fetched: list[str] = []
        self._url, self._port, self._token = url, port, token
        self._pause_s, self._bad = pause_s, bad
        self._room = f"gw/1/{id}"
        self._offers: list[dict] = []
        self._wake = threading.Event()
        self._over = threading.Event()
        self._client: paho.Client | None = None
        self._worker = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "UpdatingDevice":
        self._boot()
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._wake.set()
        self._worker.join(PATIENCE_S)
        self._halt()

    # Its life

    def _boot(self) -> None:
        """A new session: it listens, and says what it runs."""
        ready = threading.Event()
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=self.id)
        client.username_pw_set(self.id, self._token)
        client.on_connect = lambda *_: client.subscribe(f"{self._room}/down/#", 1)
        client.on_subscribe = lambda *_: ready.set()
        client.on_message = self._told
        client.connect("127.0.0.1", self._port)
        client.loop_start()
        assert ready.wait(PATIENCE_S)
        self._client = client
        serial, digest = self.slot
        said = {"serial": serial} | ({"digest": digest} if digest else {})
        self._say("register", {"firmware": said})
        self._say("telemetry", {"uptime": 1})

    def _halt(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()

    def _say(self, what: str, words: dict) -> None:
        assert self._client is not None
        self._client.publish(f"{self._room}/up/{what}", json.dumps(words), qos=1).wait_for_publish(PATIENCE_S)

    def _told(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        if message.topic == f"{self._room}/down/firmware":
            offer = json.loads(message.payload)
            if "abort" not in offer:
                self._offers.append(offer)
                self._wake.set()

    # Its updates

    def _work(self) -> None:
        while not self._over.is_set():
            self._wake.wait()
            self._wake.clear()
            while self._offers and not self._over.is_set():
                offer = self._offers.pop(0)
                if offer["job"] not in self.fetched:
                    self.fetched.append(offer["job"])
                    self._update(offer)

    def _update(self, offer: dict) -> None:
        job = offer["job"]
        self._say("firmware", {"job": job, "state": "downloading", "received": 0, "transport": "http"})
        image = self._fetch(offer)
        digest = "sha256:" + sha256(image).hexdigest()
        if digest != offer["digest"]:
            self._say("firmware", {"job": job, "state": "failed", "error": "The digest is wrong."})
            return
        for state in ("downloaded", "verified", "installing"):
            self._say("firmware", {"job": job, "state": state, "received": len(image)})
        self._halt()
        if offer["serial"] == self._bad:
            self._boot()
            reason = "The new slot did not reach the gateway."
            self._say("firmware", {"job": job, "state": "rolled_back", "error": reason})
            return
        self.slot = (offer["serial"], digest)
        self._boot()

    def _fetch(self, offer: dict) -> bytes:
        image = b""
        with httpx.Client(timeout=PATIENCE_S) as http:
            while len(image) < offer["size"] and not self._over.is_set():
                end = min(len(image) + PIECE, offer["size"]) - 1
                part = http.get(offer["url"], headers={"Range": f"bytes={len(image)}-{end}"})
                assert part.status_code == 206, part.text
                image += part.content
                time.sleep(self._pause_s)
        return image
