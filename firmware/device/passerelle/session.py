"""One login: from CONNECT to the moment the connection breaks."""

import asyncio
import json

from . import board, mqtt, topics
from .enrolment import Again
from .together import Backoff, until

HELLO_EVERY_S = 10
HELLO_MOST_S = 60
REFUSED = b"\x80"  # SUBACK


class Session:
    """`welcome`: the login was accepted. `online`: approved, so that messages may leave. `greeted`: the
    gateway itself has said so in this session. `dismissed`: the token is of no more use."""

    def __init__(self, settings, credentials, outbox, commands, updates, say):
        self._settings = settings
        self._credentials = credentials
        self._outbox = outbox
        self._commands = commands
        self._updates = updates
        self._say = say
        self._link = None
        self._all_pid = 0
        self.online = asyncio.Event()
        self.welcome = False
        self.greeted = False
        self.dismissed = False
        self._packets = {mqtt.PUBLISH: self._message, mqtt.PUBACK: self._puback, mqtt.SUBACK: self._suback}

    async def run(self, link, hello_every_s):
        """Until the connection breaks; always ends by raising."""
        me = self._credentials
        will = (self._topic(topics.UP_AVAILABILITY), b"offline")
        keepalive_s = self._settings.KEEPALIVE_S
        self._link = link
        try:
            # The session stays with the broker while we are away, and so do the commands that come meanwhile.
            await link.open(mqtt.connect(me.id, keepalive_s, False, me.id, me.token, will))
            self.welcome = True
            self._outbox.start_again()
            await until(
                self._listen(),
                self._introduce(hello_every_s),
                self._deliver(),
                link.watch(keepalive_s),
            )
        finally:
            self.online.clear()
            await link.close()

    async def goodbye(self):
        """Leave in order, so that the last will is not needed."""
        await self._available(b"offline")
        await self._link.send(mqtt.packet(mqtt.DISCONNECT, 0, b""))

    def _topic(self, words):
        return topics.of(self._settings.TOPIC_ROOT, self._credentials.id, words)

    async def _listen(self):
        while True:
            kind, flags, body = await self._link.read()
            handler = self._packets.get(kind)
            if handler is not None:
                await handler(flags, body)

    async def _introduce(self, every_s):
        """The hello; again and again while nobody has decided, for silence means just that."""
        await self._link.send(mqtt.subscribe(self._topic(topics.DOWN_REGISTERED), self._outbox.next_pid()))
        if self._credentials.approved:
            await self._go_online()
        else:
            self._say(f"{self._credentials.id} waits for approval")
        await self._say_hello()
        sane = isinstance(every_s, (int, float)) and 1 <= every_s <= HELLO_MOST_S
        backoff = Backoff(every_s if sane else HELLO_EVERY_S, HELLO_MOST_S)
        while self._unheard():
            await asyncio.sleep(backoff.delay_s())
            if self._unheard():
                await self._say_hello()

    def _unheard(self):
        """A new program must be greeted by the gateway itself before it may stay."""
        return not (self.greeted if self._updates.on_trial() else self.online.is_set())

    async def _say_hello(self):
        firmware = board.firmware(self._settings)
        hello = json.dumps({"firmware": firmware}) if firmware else ""
        topic = self._topic(topics.UP_REGISTER)
        await self._link.send(mqtt.publish(topic, hello.encode(), self._outbox.next_pid()))

    async def _deliver(self):
        while True:
            await self.online.wait()
            message, tried = await self._outbox.take()
            topic = self._topic(message.topic)
            await self._link.send(mqtt.publish(topic, message.payload, message.pid, dup=tried))
            if not message.qos:
                self._outbox.delivered(message)

    async def _puback(self, flags, body):
        self._outbox.acknowledged(int.from_bytes(body[:2], "big"))

    async def _suback(self, flags, body):
        """Being refused our own topics means that nobody has approved us (any more)."""
        if int.from_bytes(body[:2], "big") == self._all_pid and body[2:] == REFUSED:
            self._credentials.approved = False
            raise mqtt.Broken("not approved any more")

    async def _message(self, flags, body):
        """A command is acknowledged once it is written down; one there is no room for comes again later."""
        topic, payload, pid = mqtt.received(flags, body)
        if topic == self._topic(topics.DOWN_COMMAND) and not self._commands.take(payload):
            return
        if pid:
            await self._link.send(mqtt.acknowledge(pid))
        if topic == self._topic(topics.DOWN_REGISTERED):
            await self._registered(payload)
        elif topic == self._topic(topics.DOWN_FIRMWARE):
            await self._updates.heard(topics.said(payload))
        elif topic.startswith(self._topic(topics.DOWN_CHUNK)):
            self._updates.chunk(topic[len(self._topic(topics.DOWN_CHUNK)) :], payload)

    async def ask(self, words, body):
        """What is of use at once or not at all."""
        await self._link.send(mqtt.publish(self._topic(words), json.dumps(body).encode()))

    async def _registered(self, payload):
        said = topics.said(payload)
        if said.get("status") == "online":
            self._approved(said.get("id"))
            await self._go_online()
            self.greeted = True
        elif said.get("status") in ("expired", "rejected", "revoked", "replaced"):
            self.dismissed = True
            raise Again(said["status"])

    def _approved(self, id):
        """Written down. After a re-enrolment the id may be the one we had before: then we log in as that."""
        me = self._credentials
        renamed = isinstance(id, str) and id != me.id
        if renamed or not me.approved:
            me.id = id if renamed else me.id
            me.approved = True
            me.keep()
        if renamed:
            raise Again(f"from now on this is {id}")

    async def _go_online(self):
        if self.online.is_set():
            return
        self._all_pid = self._outbox.next_pid()
        await self._link.send(mqtt.subscribe(self._topic(topics.DOWN_ALL), self._all_pid))
        await self._available(b"online")
        self.online.set()
        self._say(f"{self._credentials.id} is online")

    async def _available(self, state):
        topic = self._topic(topics.UP_AVAILABILITY)
        await self._link.send(mqtt.publish(topic, state, self._outbox.next_pid(), retain=True))
