"""The one thing a board asks over HTTP: a file from some byte on."""

import asyncio

from .mqtt import Timeout

TIMEOUT_S = 8
MOST_HEADERS = 40
TLS_PORT, PORT = 443, 80


class Denied(Exception):
    """401 or 403: not with this link, perhaps with our own token."""


class Download:
    """`read` until it gives nothing; always `close`. OSError and Timeout are the network's."""

    def __init__(self, reader, writer):
        self._reader = reader
        self._writer = writer
        self._skip = 0
        self._left = None

    async def read(self, most):
        while True:
            data = await _soon(self._reader.read(most if self._left is None else min(most, self._left)))
            if self._left is not None:
                self._left -= len(data)
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            if not skipped or skipped < len(data):
                return data[skipped:] if skipped else data

    async def close(self):
        self._writer.close()
        try:
            await asyncio.wait_for(self._writer.wait_closed(), 1)
        except (OSError, Timeout):
            return

    async def ask(self, host, path, offset, token):
        lines = ["GET " + path + " HTTP/1.1", "Host: " + host, "Connection: close", f"Range: bytes={offset}-"]
        if token:
            lines.append("Authorization: Bearer " + token)
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await _soon(self._writer.drain())
        status = (await self._line()).split(" ")
        headers = await self._headers()
        self._judge(status[1] if len(status) > 1 else "", headers, offset)

    def _judge(self, status, headers, offset):
        if status in ("401", "403"):
            raise Denied()
        if "transfer-encoding" in headers or status not in ("200", "206"):
            raise OSError(f"the server answers {status or 'nonsense'}")
        if status == "200":  # it knows no ranges: what we have goes by unread
            self._skip = offset
        elif not headers.get("content-range", "").startswith(f"bytes {offset}-"):
            raise OSError("the server sends another part than was asked for")
        if headers.get("content-length", "").isdigit():
            self._left = int(headers["content-length"])

    async def _headers(self):
        headers = {}
        for _ in range(MOST_HEADERS):
            line = await self._line()
            if not line:
                return headers
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        raise OSError("the server's answer has no end")

    async def _line(self):
        line = await _soon(self._reader.readline())
        if not line.endswith(b"\n"):
            raise OSError("the connection broke")
        return str(line, "utf-8").strip()


def _soon(coroutine):
    return asyncio.wait_for(coroutine, TIMEOUT_S)


def taken_apart(url):
    """(whether encrypted, host, port, path); ValueError when it is not such an address."""
    scheme, _, rest = url.partition("://")
    if scheme not in ("http", "https") or not rest or " " in url or "\n" in url or "\r" in url:
        raise ValueError("not an address")
    place, _, path = rest.partition("/")
    host, port = place, TLS_PORT if scheme == "https" else PORT
    if ":" in place.rpartition("]")[2]:
        host, _, digits = place.rpartition(":")
        port = int(digits)
    return scheme == "https", host.strip("[]"), port, "/" + path


async def download(url, offset, token, encryption):
    """The answer from byte `offset` on; `encryption()` makes a TLS context. Denied, OSError, ValueError."""
    tls, host, port, path = taken_apart(url)
    if tls:
        opening = asyncio.open_connection(host, port, ssl=encryption(), server_hostname=host)
    else:
        opening = asyncio.open_connection(host, port)
    answer = Download(*await _soon(opening))
    try:
        await answer.ask(host, path, offset, token)
    except BaseException:
        await answer.close()
        raise
    return answer
