"""What waits to be sent, through any outage, in order.

When it is full, a reading or a log line pushes out the oldest reading or log line (counted in `lost`);
an event or an answer to a command waits for room. QoS 1 messages stay until the broker has acknowledged them
and are sent again with DUP on the next connection. A restart of the board empties it.
"""

import asyncio

IN_FLIGHT = 4  # unacknowledged at once: enough for a steady stream, small enough for an ESP8266


class Message:
    def __init__(self, topic, payload, qos=1, droppable=False):
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.droppable = droppable
        self.pid = 0
        self.sent = False


class Outbox:
    def __init__(self, room):
        self._room = room
        self._messages = []
        self._pid = 0
        self._moved = asyncio.Event()
        self.lost = 0

    def __len__(self):
        return len(self._messages)

    async def put(self, message):
        while len(self._messages) >= self._room and not self._drop_oldest():
            if message.droppable:
                self.lost += 1
                return
            await self._movement()
        self._messages.append(message)
        self._moved.set()

    def _drop_oldest(self):
        """Make room by giving up the oldest reading or log line; one on its way is not given up."""
        for index, message in enumerate(self._messages):
            if message.droppable and not message.sent:
                del self._messages[index]
                self.lost += 1
                return True
        return False

    def next_pid(self):
        self._pid = self._pid % 65535 + 1
        return self._pid

    def start_again(self):
        """A new connection: everything unacknowledged is to be sent (again)."""
        for message in self._messages:
            message.sent = False

    async def take(self):
        """The next message to send, marked as sent: (message, whether it was tried before)."""
        while True:
            message = self._unsent()
            if message is not None:
                break
            await self._movement()
        tried = message.pid > 0
        message.sent = True
        if message.qos and not tried:
            message.pid = self.next_pid()
        return message, tried

    def _unsent(self):
        in_flight = 0
        for message in self._messages:
            if not message.sent:
                return message
            in_flight += 1
            if in_flight == IN_FLIGHT:
                return None
        return None

    def delivered(self, message):
        """A QoS 0 message has left."""
        if message in self._messages:
            self._messages.remove(message)
            self._moved.set()

    def acknowledged(self, pid):
        for message in self._messages:
            if pid and message.pid == pid:
                self.delivered(message)
                return

    async def emptied(self):
        while self._messages:
            await self._movement()

    async def gone(self, message):
        """Return once it was delivered (or given up)."""
        while message in self._messages:
            await self._movement()

    async def _movement(self):
        """Something was put in or taken out; whoever waits looks again."""
        self._moved.clear()
        await self._moved.wait()
