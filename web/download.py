"""The door for images: `GET /fw/{job}`, for the module of that job alone, and `GET /fw/probe`."""

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from firmware.house import Firmware
from firmware.links import ANOTHERS
from firmware.probing import PROBE
from firmware.values import Image, Job
from gateway.core.errors import Conflict, Forbidden, NotFound, Unauthenticated
from gateway.core.values import Module
from web.ranges import Unsatisfiable, asked_part, has_it, still_the_same
from web.site import Site
from web.streaming import Part, PartResponse

_ALWAYS = {
    "Cache-Control": "private, no-store",
    "Accept-Ranges": "bytes",
    "Content-Disposition": "attachment",
}
_WHO = "Show the link's token (?t=..) or the module's token (Authorization: Bearer ..)."
_NONE = "This module has no such update."
_BEARER = "bearer "


def routes(site: Site) -> list[Route]:
    return [
        Route("/fw/probe", _probe, methods=["GET"]),
        Route("/fw/{job}", _image(site), methods=["GET"]),
    ]


async def _probe(request: Request) -> Response:
    return Response(PROBE, headers=_ALWAYS, media_type="application/octet-stream")


def _image(site: Site) -> Callable[[Request], Awaitable[Response]]:
    firmware = site.firmware

    async def image(request: Request) -> Response:
        module = _holder(firmware, request)
        job = await _open_job(firmware, module, request.path_params["job"])
        found = firmware.images.get(job.image_id)
        firmware.images.check_whole(found)
        return _answer(request, site, job, found)

    return image


def _holder(firmware: Firmware, request: Request) -> Module:
    """Whose link, whose token: of both there may be one, or two that agree."""
    numbers = set()
    if (token := request.query_params.get("t")) is not None:
        numbers.add(firmware.links.holder(token, request.path_params["job"]))
    if (header := request.headers.get("authorization")) is not None:
        numbers.add(_by_token(firmware, header))
    if not numbers:
        raise Unauthenticated(_WHO)
    if len(numbers) > 1:
        raise Forbidden(ANOTHERS)
    module = _in_good_standing(firmware, numbers.pop())
    if module is None:
        raise Forbidden("This module is not approved, or its token was revoked.")
    return module


def _in_good_standing(firmware: Firmware, number: int) -> Module | None:
    registry = firmware.core.registry
    module = registry.numbered(number)
    stands = module is not None and module.life == "approved" and bool(registry.digests(module).token)
    return module if stands else None


def _by_token(firmware: Firmware, header: str) -> int:
    token = header[len(_BEARER) :].strip() if header.lower().startswith(_BEARER) else ""
    identity = firmware.core.registry.by_token(token)
    if identity is None or identity.claim:
        raise Unauthenticated("This is no module's token.")
    return firmware.core.registry.get(identity.id).number


async def _open_job(firmware: Firmware, module: Module, job_id: str) -> Job:
    """The module's update under way; another's is as unknown to it as one that never was."""
    try:
        job = await firmware.ledger.find(job_id)
    except NotFound:
        raise NotFound(_NONE) from None
    if job.module_number != module.number:
        raise NotFound(_NONE)
    if job.ended:
        raise HTTPException(410, f"This update has ended: {job.state}.")
    if firmware.offers.fetchable(module, job_id) is None:
        raise Conflict("The image cannot be fetched in this state of the update.")
    return job


def _answer(request: Request, site: Site, job: Job, image: Image) -> Response:
    firmware = site.firmware
    tag = f'"{image.digest}"'
    headers = {**_ALWAYS, "ETag": tag}
    if has_it(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    may_part = request.method == "GET" and still_the_same(request.headers.get("if-range"), tag)
    try:
        asked = asked_part(request.headers.get("range"), image.size) if may_part else None
    except Unsatisfiable:
        wrong = {"Content-Range": f"bytes */{image.size}", "Accept-Ranges": "bytes"}
        raise HTTPException(416, f"The image has {image.size} bytes.", wrong) from None
    start, end = asked or (0, image.size)
    if asked:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{image.size}"

    def given(offset: int, length: int) -> bool:
        stands = _in_good_standing(firmware, job.module_number) is not None
        return stands and firmware.offers.served(job.id, offset, length)

    part = Part(firmware.images.path(image), image.size, start, end)
    return PartResponse(part, 206 if asked else 200, headers, site.downloads, job.module_number, given)
