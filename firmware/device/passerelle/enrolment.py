"""Asks a gateway that does not know us for an id and a token, and keeps both."""

import asyncio
import binascii
import hashlib
import json

from . import board, keep, mqtt, topics

FILE = "credentials.json"
REPLY_TIMEOUT_S = 20
REFUSED_S = 60  # before asking again, when the gateway says no without saying until when
LONGEST_S = 3600


class Again(Exception):
    """Not now: the message says why; `after_s` is how long the gateway wants to be left alone."""

    def __init__(self, why, after_s=0):
        super().__init__(why)
        self.after_s = (
            after_s if isinstance(after_s, (int, float)) and 0 <= after_s <= LONGEST_S else REFUSED_S
        )


class Credentials:
    """Id and token. `approved` remembers that a person said yes: such a token is not given up easily."""

    def __init__(self, id, token, approved=False):
        self.id = id
        self.token = token
        self.approved = approved

    def code(self):
        """What a person who approves us may have to type: the beginning of the token's SHA-256."""
        digest = hashlib.sha256(self.token.encode()).digest()
        return binascii.hexlify(digest[:4]).decode().upper()

    def keep(self):
        keep.save(FILE, {"id": self.id, "token": self.token, "approved": self.approved})


def kept():
    """The credentials of an earlier enrolment, or None."""
    found = keep.load(FILE, {})
    try:
        return Credentials(found["id"], found["token"], found.get("approved", False))
    except (KeyError, TypeError, AttributeError):
        return None


def application(settings):
    """What a person who has to decide will see."""
    asked = {"type": settings.TYPE, "serial": settings.SERIAL or board.serial()}
    said = (("name", settings.NAME), ("location", settings.LOCATION))
    information = {key: value for key, value in said if value}
    if information:
        asked["information"] = information
    if board.firmware(settings):
        asked["firmware"] = board.firmware(settings)
    if settings.SHARED_KEY:
        asked["shared_key"] = settings.SHARED_KEY
    asked["hardware"] = board.hardware(settings)
    return asked


async def enrol(settings, connection):
    """Ask once, over a connection of its own: (credentials, seconds between hellos or None). Raises Again."""
    nonce = board.random_hex(16)
    try:
        await connection.open(mqtt.connect(nonce, settings.KEEPALIVE_S))
        await connection.send(mqtt.subscribe(topics.enrolment_reply(settings.TOPIC_ROOT, nonce), 1))
        asked = json.dumps(application(settings)).encode()
        await connection.send(mqtt.publish(topics.enrolment(settings.TOPIC_ROOT, nonce), asked, pid=2))
        reply = await asyncio.wait_for(_reply(connection), REPLY_TIMEOUT_S)
        await connection.send(mqtt.packet(mqtt.DISCONNECT, 0, b""))
    finally:
        await connection.close()
    return _granted(reply), reply.get("retry_after")


def _granted(reply):
    """The credentials of a reply, kept; Again when it is a refusal."""
    if reply.get("status") not in ("pending", "approved"):
        raise Again(f"{reply.get('status')}: {reply.get('message', '')}", reply.get("retry_after"))
    id, token = reply.get("id"), reply.get("token")
    if not (isinstance(id, str) and isinstance(token, str) and id and token):
        raise Again("the gateway's answer holds no id or no token", REFUSED_S)
    credentials = Credentials(id, token, reply["status"] == "approved")
    credentials.keep()
    return credentials


async def _reply(connection):
    while True:
        kind, flags, body = await connection.read()
        if kind == mqtt.PUBLISH:
            _, payload, pid = mqtt.received(flags, body)
            if pid:
                await connection.send(mqtt.acknowledge(pid))
            return topics.said(payload)
