"""A module's firmware as a script: it updates itself over HTTP or MQTT as the contracts say, or lies."""

import base64
import contextlib
import hashlib
import hmac
import json
import threading
import time
import zlib
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.conformance import packets as mqtt
from tests.conformance.client import Client
from tests.conformance.packets import Publish, ServerFault

RETRY_S, TURN_S, ANSWER_S = 0.1, 0.01, 15.0
GONE = (404, 409, 410)
SAY_EVERY = 64 * 1024
SAY_EVERY_S = 5.0
PROBE = bytes(number * 7 % 256 for number in range(1024))
# `whole`: it has all of the image, and has not said so.
MOMENTS = ("offered", "downloading", "whole", "downloaded", "verified", "installing", "rebooted")


@dataclass(frozen=True)
class Firmware:
    """What a module says it runs."""

    serial: str = ""
    version: str = ""
    digest: str = ""

    def words(self) -> dict[str, str]:
        named = {"serial": self.serial, "version": self.version, "digest": self.digest}
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True)
class Manner:
    """How a module goes about an update. The first part is honest, the second is not or has bad luck.

    `hold`: the moment of MOMENTS at which it waits for `release`; `cuts`: bytes at which its connections
    break, each once; `failures`: so many tries end with `failed`; `bad_images`: digests that do not start, so
    that it comes back with the old one and says so.
    """

    transport: str = "http"
    chunk: int = 1024
    piece: int = 8 * 1024
    pace_s: float = 0.0
    hold: str = ""
    cuts: tuple[int, ...] = ()
    public_key: str = ""
    probes: bool = True
    failures: int = 0
    bad_images: frozenset[str] = frozenset()
    silent_rollback: bool = False  # comes back with the old image and says nothing of a rollback
    hello_digest: str = ""  # claims this digest after the reboot
    reboots: bool = True
    skips_download: bool = False
    stays_after_reboot_s: float = 1e9


@dataclass
class Task:
    """What outlives a power cut."""

    offer: dict[str, Any]
    data: bytearray = field(default_factory=bytearray)
    phase: str = "offered"
    said_at: float = 0.0
    said_received: int = -1

    @property
    def job(self) -> str:
        return str(self.offer["job"])

    @property
    def digest(self) -> str:
        return str(self.offer["digest"])


Course = Generator[None, None, None]


class Dropped(OSError):
    """The script cuts its own connection."""


class Board(threading.Thread):
    """Runs from `start` until `stop`; what it saw and did may be read at any time."""

    def __init__(
        self, url: str, mqtt_port: int, id: str, token: str, *, type: int, hardware: str = "",
        runs: Firmware | None = None, manner: Manner | None = None,
    ) -> None:  # fmt: skip
        super().__init__(daemon=True, name=id)
        self.id, self.token, self.type, self.hardware = id, token, type, hardware
        self.runs = runs or Firmware()
        self.manner = manner or Manner()
        self.task: Task | None = None
        self.phase = ""  # the moment it is at or waits in
        self.offers: list[dict[str, Any]] = []
        self.offered_at: list[float] = []
        self.aborts: list[str] = []
        self.installs: list[str] = []
        self.begun: list[tuple[str, int]] = []  # job and offset of each start of a download
        self.refused: list[str] = []
        self.gone: list[str] = []  # jobs whose image was not there any more
        self.needless: list[str] = []  # jobs for what it runs already
        self.words: list[dict[str, Any]] = []
        self.hellos: list[tuple[float, str]] = []
        self.faults: list[str] = []
        self.errors: deque[str] = deque(maxlen=20)
        self.probed: list[dict[str, bool]] = []
        self._url, self._port = url, mqtt_port
        self._stopping = threading.Event()
        self._away = threading.Event()
        self._hold = self.manner.hold
        self._cuts = deque(self.manner.cuts)
        self.failures = self.manner.failures
        self._gave_up: set[str] = set()
        self._issued = 0
        self._course: Course | None = None
        self._reboot = False
        self.line: Client | None = None
        self._greeted_at = 0.0

    # Its life

    def run(self) -> None:
        while not self._stopping.is_set():
            if not self._away.is_set():
                try:
                    self._session()
                except (OSError, AssertionError) as error:  # closed, or not let in
                    self.errors.append(repr(error))
            self.line = None
            self._stopping.wait(RETRY_S)

    def _session(self) -> None:
        words: dict[str, Any] = {"user": self.id, "password": self.token.encode()}
        will = mqtt.Will(self._topic("up/availability"), b"offline", 1, True)
        line = Client(self._port, self.id, will=will, **words)
        try:
            with line:
                self.line = line
                self._greet(line)
                while not self._leaves():
                    self._turn(line)
        except ServerFault as fault:
            # A gateway that is killed ends within a packet, or before its first.
            if "closed within a packet" not in str(fault) and not str(fault).endswith("not None"):
                self.faults.append(str(fault))
        finally:
            self._course = None
            if line.sock is not None:
                line.cut()

    def _greet(self, line: Client) -> None:
        line.subscribe((self._topic("down/#"), 1))
        self._greeted_at = time.monotonic()
        self.hellos.append((time.time(), self._says_it_runs().digest))
        self._publish("up/register", {"firmware": self._says_it_runs().words()})
        if self.task is not None:
            self._course = self._update(self.task)

    def _says_it_runs(self) -> Firmware:
        if self.manner.hello_digest and self.installs:
            return replace(self.runs, digest=self.manner.hello_digest)
        return self.runs

    def _leaves(self) -> bool:
        late = bool(self.installs) and time.monotonic() > self._greeted_at + self.manner.stays_after_reboot_s
        return self._stopping.is_set() or self._away.is_set() or self._reboot or late

    def _turn(self, line: Client) -> None:
        with contextlib.suppress(TimeoutError):
            if not line.messages:
                line.pump(TURN_S if self._course is None or self.phase == self._hold else 0.0005)
        while line.messages:
            self._hear(line.messages.popleft())
        if self._course is not None and next(self._course, self) is self:
            self._course = None
        if self._reboot:
            self._reboot = False
            raise Dropped("reboot")

    # Orders of the test

    def go_away(self) -> None:
        """Be offline until `come_back`, without a goodbye."""
        self._away.set()

    def come_back(self) -> None:
        self._away.clear()

    def hold(self, moment: str) -> None:
        self._hold = moment

    def release(self) -> None:
        self._hold = ""

    def stop(self) -> None:
        self._stopping.set()
        if self.is_alive():
            self.join(30)
        assert not self.is_alive()

    @property
    def jobs(self) -> list[str]:
        """Every job it was offered, once each, in order."""
        return list(dict.fromkeys(offer["job"] for offer in self.offers))

    # What it hears

    def _topic(self, rest: str) -> str:
        return f"gw/1/{self.id}/{rest}"

    def _hear(self, message: Publish) -> None:
        rest = message.topic.removeprefix(self._topic("down/"))
        if rest != "firmware":
            return
        if message.retain:
            self.faults.append("an offer was retained")
        said = json.loads(message.payload)
        if said.get("abort"):
            self.aborts.append(said["job"])
            self._gave_up.add(said["job"])
            if self.task is not None and self.task.job == said["job"]:
                self.task, self._course = None, None
        else:
            self.offers.append(said)
            self.offered_at.append(time.time())
            self._consider(said)

    def _consider(self, offer: dict[str, Any]) -> None:
        if why := self.obstacle(offer):
            self.refused.append(why)
            return
        self._issued = max(self._issued, offer["issued"])
        self._gave_up.discard(offer["job"])
        if self.task is not None and self.task.job == offer["job"]:
            self.task.offer = offer  # the same again, perhaps with a fresh link
            return
        if offer["digest"] == self.runs.digest:
            self.needless.append(offer["job"])
            return
        same = self.task is not None and self.task.digest == offer["digest"]
        self.task = Task(offer, self.task.data if self.task is not None and same else bytearray())
        self._course = self._update(self.task)

    def obstacle(self, offer: dict[str, Any]) -> str:
        if not hmac.compare_digest(offer["hmac"], offer_hmac(self.token, offer)):
            return "the hmac is wrong"
        if offer["issued"] < self._issued:
            return "the offer is older than the last"
        if offer["type"] != self.type:
            return "the offer is for another type"
        if offer["hardware"] and self.hardware and self.hardware not in offer["hardware"]:
            return "the offer is for other hardware"
        if self.manner.public_key and not signature_is_right(self.manner.public_key, offer):
            return "the signature is wrong"
        return ""

    # What it says

    def _publish(self, rest: str, body: dict[str, Any]) -> None:
        """See it acknowledged."""
        assert self.line is not None
        self.line.publish(self._topic(rest), json.dumps(body).encode(), qos=1)

    def say(self, task: Task, state: str, **more: Any) -> None:
        word = {"job": task.job, "state": state, "received": len(task.data)} | more
        self.words.append(word)
        self._publish("up/firmware", word)

    # How it updates: a course of small steps, begun anew after each cut

    def _update(self, task: Task) -> Course:
        steps = {
            "offered": self._begin, "downloading": self._download, "downloaded": self._verify,
            "verified": self._install, "installing": self._boot, "rebooted": self._settle,
        }  # fmt: skip
        while self.task is task:
            yield from steps[task.phase](task)

    def _moment(self, name: str) -> Course:
        self.phase = name
        while self._hold == name:
            yield
        yield

    def _begin(self, task: Task) -> Course:
        yield from self._moment("offered")
        if self.failures:
            self.failures -= 1
            self.say(task, "failed", error="the flash is worn out")
            self.task = None
            return
        if self.manner.skips_download:
            self.say(task, "verified")
            task.phase = "verified"
            return
        more: dict[str, Any] = {}
        if self.manner.probes and (probe := task.offer.get("probe")):
            found = {"http": self._probe_http(probe), "mqtt": self._probe_mqtt()}
            self.probed.append(found)
            more = {"probe": found, "transport": self.manner.transport}
        self.say(task, "downloading", **more)
        task.phase = "downloading"

    def _probe_http(self, probe: dict[str, Any]) -> bool:
        if not probe.get("url"):
            return False
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.get(probe["url"], timeout=5, headers=self._bearer)
            return answer.status_code == 200 and answer.content == PROBE
        return False

    def _probe_mqtt(self) -> bool:
        data = self.ask_chunk("probe", 0, 1024)
        if data != PROBE:
            self.faults.append(f"the probe over MQTT: {data[:16]!r}..")
        return data == PROBE

    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": "Bearer " + self.token}

    def _download(self, task: Task) -> Course:
        self.phase = "downloading"
        self.begun.append((task.job, len(task.data)))
        task.said_at, task.said_received = time.monotonic(), len(task.data)
        if task.data:
            self.say(task, "downloading")
            yield
        by_http = self.manner.transport == "http" and task.offer["url"]
        yield from self._by_http(task) if by_http else self._by_mqtt(task)
        if self.task is not task:
            return
        yield from self._moment("whole")
        digest = "sha256:" + hashlib.sha256(task.data).hexdigest()
        if digest != task.digest:
            self.faults.append(f"{len(task.data)} bytes came with the digest {digest}, not {task.digest}")
            self.say(task, "failed", error="The digest is wrong.")
            self.task = None
            return
        self.say(task, "downloaded")
        task.phase = "downloaded"

    def _by_http(self, task: Task) -> Course:
        size = task.offer["size"]
        while len(task.data) < size:
            headers = {"Range": f"bytes={len(task.data)}-"}
            with self._opened(task, headers) as answer:
                if answer.status_code in GONE:
                    self.gone.append(task.job)
                    self.task = None
                    return
                if answer.status_code != 206:
                    raise Dropped(f"{answer.status_code} for a part")
                for piece in answer.iter_bytes(self.manner.piece):
                    task.data += piece
                    yield from self._received(task)

    @contextlib.contextmanager
    def _opened(self, task: Task, headers: dict[str, str]) -> Generator[httpx.Response, None, None]:
        """With the link; by its token where the link has expired."""
        try:
            with httpx.stream("GET", task.offer["url"], headers=headers, timeout=20) as answer:
                if answer.status_code != 403:
                    yield answer
                    return
            plain = f"{self._url}/fw/{task.job}"
            with httpx.stream("GET", plain, headers=headers | self._bearer, timeout=20) as answer:
                yield answer
        except httpx.HTTPError as error:
            raise Dropped(str(error)) from error

    def _by_mqtt(self, task: Task) -> Course:
        while data := self.ask_chunk(task.job, len(task.data), self.manner.chunk):
            task.data += data
            yield from self._received(task)

    def ask_chunk(self, job: str, offset: int, length: int) -> bytes:
        """Asked again when no answer came: chunks come with QoS 0."""
        assert self.line is not None
        topic = self._topic(f"down/chunk/{job}/{offset}")
        for _ in range(3):
            ask = json.dumps({"job": job, "offset": offset, "length": length}).encode()
            self.line.send(mqtt.publish(self._topic("up/chunk"), ask))
            answer = self._await(topic)
            if answer is None:
                continue
            checksum, data = answer.payload[:4], answer.payload[4:]
            if zlib.crc32(data).to_bytes(4, "big") != checksum:
                self.faults.append(f"the checksum of the chunk at {offset} is wrong")
                continue
            return data
        raise Dropped("no chunk came")

    def _await(self, topic: str) -> Publish | None:
        """The answer; an offer or an abort that comes in between is heard after it."""
        assert self.line is not None
        later: list[Publish] = []
        end = time.monotonic() + ANSWER_S / 3
        try:
            while time.monotonic() < end:
                while self.line.messages:
                    message = self.line.messages.popleft()
                    if message.topic == topic:
                        return message
                    later.append(message)
                with contextlib.suppress(TimeoutError):
                    self.line.pump(0.5)
            return None
        finally:
            self.line.messages.extendleft(reversed(later))

    def _received(self, task: Task) -> Course:
        now, got = time.monotonic(), len(task.data)
        if got - task.said_received >= SAY_EVERY or now - task.said_at >= SAY_EVERY_S:
            task.said_at, task.said_received = now, got
            self.say(task, "downloading")
        if self._cuts and got >= self._cuts[0]:
            self._cuts.popleft()
            raise Dropped("power cut")
        if got >= task.offer["size"] // 2:
            while self._hold == "downloading":
                self.phase = "held"
                yield
        if self.manner.pace_s:
            end = now + self.manner.pace_s
            while time.monotonic() < end:
                yield
        yield

    def _verify(self, task: Task) -> Course:
        yield from self._moment("downloaded")
        self.say(task, "verified")
        task.phase = "verified"

    def _install(self, task: Task) -> Course:
        yield from self._moment("verified")
        self.say(task, "installing")
        task.phase = "installing"

    def _boot(self, task: Task) -> Course:
        yield from self._moment("installing")
        self.installs.append(task.digest)
        task.phase = "rebooted"
        old, new = self.runs, task.offer
        if task.digest not in self.manner.bad_images and not self.manner.silent_rollback:
            self.runs = Firmware(new["serial"], new["version"], new["digest"])
        if self.manner.reboots:
            self._reboot = True
        else:
            self._publish("up/register", {"firmware": self.runs.words()})
            self.runs = old
        yield

    def _settle(self, task: Task) -> Course:
        self.phase = "rebooted"
        if task.digest in self.manner.bad_images and not self.manner.silent_rollback:
            self.say(task, "rolled_back", error="The new image did not reach the gateway.")
        self.task = None
        yield


def offer_hmac(token: str, offer: dict[str, Any]) -> str:
    digest = offer["digest"].removeprefix("sha256:")
    words = ("passerelle offer 1", offer["job"], digest, offer["size"], offer["version"], offer["issued"])
    text = "".join(f"{word}\n" for word in words)
    return hmac.new(hashlib.sha256(token.encode()).digest(), text.encode(), "sha256").hexdigest()


def canonical(digest: str, type: int, version: str, hardware: list[str]) -> bytes:
    names = ",".join(sorted(hardware))
    return f"passerelle image 1\n{digest.removeprefix('sha256:')}\n{type}\n{version}\n{names}\n".encode()


def signature_is_right(public_key: str, offer: dict[str, Any]) -> bool:
    words = canonical(offer["digest"], offer["type"], offer["version"], offer["hardware"])
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key))
        key.verify(base64.b64decode(offer["signature"]), words)
    except (InvalidSignature, ValueError):
        return False
    return True
