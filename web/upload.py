"""An image on its way in: a multipart body, read as a stream straight into the catalogue's folder."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import Request

from firmware.images import MAX_BYTES, Upload
from gateway.core.errors import Invalid, TooLarge
from web import csrf
from web.parts import FILE, Parts
from web.visit import Visit

# The fields and the frame around the image.
MAX_AROUND = 256 * 1024
# The parser works on the event loop: never on more than this at once, as the worst takes long.
SLICE = 16 * 1024
_UNREADABLE = "The form cannot be read; it must be multipart/form-data."


@dataclass(frozen=True, slots=True)
class Bounds:
    """`stall_s`: without a single byte; `whole_s`: from the first to the last."""

    max_bytes: int = MAX_BYTES + MAX_AROUND
    stall_s: float = 20.0
    whole_s: float = 30 * 60.0


BOUNDS = Bounds()


@asynccontextmanager
async def receive_image(
    visit: Visit, allow_fields: Collection[str], bounds: Bounds = BOUNDS
) -> AsyncIterator[tuple[dict[str, str], Upload]]:
    """The fields and the image of a multipart body; what is not added to the catalogue leaves no trace.

    A browser's session proves itself by the header of programs, or by the field `csrf` before the file.
    Raises a `GatewayError`, or `HTTPException` for a body that is too slow.
    """
    request = visit.request
    token = _token_to_come(visit)
    boundary = _boundary(request)
    if not boundary:
        if token is not None:
            csrf.check_token(token, None)
        raise Invalid(_UNREADABLE)
    _check_length(request, bounds)
    async with visit.site.firmware.images.receiving() as upload:
        parts = Parts(allow_fields, token)
        await read_parts(_chunks(request, bounds), boundary, parts, upload.write)
        yield parts.fields, upload


def _token_to_come(visit: Visit) -> str | None:
    """The token that the form must bring; None when nothing is asked of it (any more)."""
    if visit.session is None:
        return None
    csrf.check_origin(visit.request, visit.site.public_url)
    given = visit.request.headers.get(csrf.HEADER)
    if given is None:
        return visit.session.csrf
    csrf.check_token(visit.session.csrf, given)
    return None


def _boundary(request: Request) -> bytes:
    """What parts the form; empty when it is none that could hold a file."""
    kind, options = parse_options_header(request.headers.get("content-type"))
    return options.get(b"boundary", b"") if kind == b"multipart/form-data" else b""


def _check_length(request: Request, bounds: Bounds) -> None:
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal():
        raise HTTPException(400, "The Content-Length is not a number.")
    if int(declared[:20]) > bounds.max_bytes:
        raise _too_large()


async def _chunks(request: Request, bounds: Bounds) -> AsyncGenerator[bytes, None]:
    """The body as it comes, as long as it does come, and up to its bounds."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + bounds.whole_s
    got = 0
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout_at(min(loop.time() + bounds.stall_s, end_s)):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise HTTPException(408, "The upload took too long to arrive.") from None
        if chunk is None:
            return
        got += len(chunk)
        if got > bounds.max_bytes:
            raise _too_large()
        yield chunk


async def read_parts(
    chunks: AsyncIterator[bytes], boundary: bytes, parts: Parts, write: Callable[[bytes], Awaitable[None]]
) -> None:
    """Read a whole form; the file's bytes go to `write` as they come."""
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin,
                "on_header_field": parts.header_field,
                "on_header_value": parts.header_value,
                "on_header_end": parts.header_end,
                "on_headers_finished": parts.headers_finished,
                "on_part_data": parts.data,
                "on_part_end": parts.end,
                "on_end": parts.finish,
            },
        )
        async for chunk in chunks:
            for start in range(0, len(chunk), SLICE):
                parser.write(chunk[start : start + SLICE])
                for data in parts.take():
                    await write(data)
                await asyncio.sleep(0)
    except FormParserError:
        raise Invalid(_UNREADABLE) from None
    if not parts.ended:
        raise Invalid("The upload ended before its end.")
    if not parts.has_file:
        raise Invalid("There is no image in the form; it belongs into %(file)r.", file=FILE)


def _too_large() -> TooLarge:
    return TooLarge("An image has at most %(max_bytes)s MB.", max_bytes=MAX_BYTES // 1024**2)
