"""Brings an image to `update.part`, over HTTP or in chunks over MQTT, and goes on after a power cut."""

import asyncio
import binascii
import gc
import os

from . import http
from .board import ticks_diff, ticks_ms
from .bundle import settle
from .mqtt import Timeout
from .offers import Unfit

PART = "update.part"
SETTLE_EVERY = 4096  # bytes: a board's file system loses what was not settled
BUFFER = 1024
HTTP_TRIES = 3  # without a single byte
CHUNK_TIMEOUT_S = 3
CHUNK_TRIES = 40
LEAST_CHUNK, MOST_CHUNK = 256, 4096
PROBE = "probe"
# MemoryError: a buffer less and it may go.
TROUBLE = (OSError, EOFError, Timeout, ValueError, MemoryError)


def kept():
    """How many bytes of an image are there; the file's own size is the truth."""
    try:
        return os.stat(PART)[6]
    except OSError:
        return 0


def forget():
    if kept() or PART in os.listdir():
        os.remove(PART)


class Part:
    """The part file, open for more."""

    def __init__(self, size):
        self._file = open(PART, "ab")
        self._unsettled = 0
        self.size = size
        self.have = kept()

    def write(self, data):
        data = data[: self.size - self.have]
        self._file.write(data)
        self.have += len(data)
        self._unsettled += len(data)
        if self._unsettled >= SETTLE_EVERY:
            self._unsettled = 0
            settle(self._file)

    def close(self):
        settle(self._file)
        self._file.close()


class Chunks:
    """Asks for one chunk at a time; what comes late, twice or damaged is not taken for what was asked for."""

    def __init__(self, ask):
        self._ask = ask  # async ask(job, offset, length); waits while there is no gateway
        self._wanted = None
        self._found = None
        self._arrived = asyncio.Event()

    def arrived(self, place, payload):
        """From `down/chunk/<place>`."""
        if place == self._wanted:
            self._found = payload
            self._arrived.set()

    async def get(self, job, offset, length):
        """The data, empty behind the end; None when nothing whole has come: ask again."""
        self._wanted, self._found = f"{job}/{offset}", None
        self._arrived.clear()
        try:
            await self._ask(job, offset, length)
            await asyncio.wait_for(self._arrived.wait(), CHUNK_TIMEOUT_S)
        except Timeout:
            return None
        except TROUBLE:  # the connection broke in this moment; another will come
            await asyncio.sleep(1)
            return None
        found = memoryview(self._found)
        self._wanted = self._found = None
        whole = 4 <= len(found) <= 4 + length
        return found[4:] if whole and found[:4] == binascii.crc32(found[4:]).to_bytes(4, "big") else None


def chunk_length(most):
    """What fits into the memory that is free, which lies in pieces; it is needed about four times."""
    gc.collect()
    free = gc.mem_free() // 32 if hasattr(gc, "mem_free") else MOST_CHUNK
    return max(LEAST_CHUNK, min(most, MOST_CHUNK, free // LEAST_CHUNK * LEAST_CHUNK))


async def over_http(part, link, token, encryption, step):
    """True when the image is complete, False when this way does not work. `link()` is the newest address."""
    tries, shown = 0, None
    while part.have < part.size:
        before = part.have
        try:
            await _one_answer(part, link(), shown, encryption, step)
        except http.Denied:
            if shown or not token:
                return False
            shown = token
            continue
        except TROUBLE:
            pass
        tries = 0 if part.have > before else tries + 1
        if tries >= HTTP_TRIES:
            return False
        if part.have < part.size:
            await asyncio.sleep(0.5 * (tries + 1))
    return True


async def _one_answer(part, url, token, encryption, step):
    answer = await http.download(url, part.have, token, encryption)
    try:
        while part.have < part.size:
            data = await answer.read(BUFFER)
            if not data:
                return
            part.write(data)
            await step(part.have)
    finally:
        await answer.close()


async def over_mqtt(part, chunks, job, most, step):
    """The rest of the image; Unfit when the gateway does not send it."""
    tries = 0
    length = chunk_length(most)
    while part.have < part.size:
        data = await chunks.get(job, part.have, min(length, max(LEAST_CHUNK, part.size - part.have)))
        if data is None:
            tries += 1
            length = max(LEAST_CHUNK, length // 2)  # it may have been too much for the memory
            if tries >= CHUNK_TRIES:
                raise Unfit("the gateway sends no chunks, or all of them arrive damaged")
        elif len(data):
            tries = 0
            part.write(data)
        else:
            raise Unfit(f"the image ends after {part.have} bytes of {part.size}")
        await step(part.have)


async def probe(offered, job_chunks, encryption):
    """Try both ways with a kilobyte: {"http": bool, "mqtt": bool}."""
    size, digest, url = (offered.get(key) for key in ("size", "digest", "url"))
    length = size if isinstance(size, int) and 0 < size <= BUFFER else BUFFER
    return {
        "http": _is(await _probe_http(str(url or ""), length, encryption), digest),
        "mqtt": _is(await job_chunks.get(PROBE, 0, max(length, LEAST_CHUNK)), digest),
    }


def _is(data, digest):
    from hashlib import sha256

    return data is not None and digest == "sha256:" + binascii.hexlify(sha256(data).digest()).decode()


async def _probe_http(url, length, encryption):
    found = b""
    try:
        answer = await http.download(url, 0, None, encryption)
        try:
            while len(found) < length:
                data = await answer.read(length - len(found))
                if not data:
                    break
                found += data
        finally:
            await answer.close()
    except http.Denied:
        return None
    except TROUBLE:
        return None
    return found


class Pace:
    """When a word on the progress is due: every 64 KiB or 5 s."""

    def __init__(self, have):
        self._told = have
        self._told_ms = ticks_ms()

    def due(self, have):
        now = ticks_ms()
        if have - self._told < 65536 and ticks_diff(now, self._told_ms) < 5000:
            return False
        self._told, self._told_ms = have, now
        return True
