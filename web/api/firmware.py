"""The catalogue of images, and whose signatures count."""

from typing import Any

import msgspec
from starlette.responses import JSONResponse, Response

from firmware.facts import Facts
from firmware.house import Firmware
from firmware.values import Image
from web.access import Access
from web.api.jobs import by_of
from web.api.models_firmware import (
    ImageFields,
    ImageIn,
    ImageOut,
    ImagePage,
    PolicyIn,
    PolicyOut,
    VendorKeyIn,
)
from web.api.paging import PageQuery, page
from web.api.table import Call, Operation, checked
from web.upload import receive_image

TAG = "Firmware"


def described(firmware: Firmware, image: Image) -> dict[str, Any]:
    header: dict[str, Any] = msgspec.to_builtins(image.header)
    return {
        "id": image.id,
        "serial": image.serial,
        "version": image.version,
        "type": image.type,
        "size": image.size,
        "digest": f"sha256:{image.digest}",
        "md5": image.md5,
        "kind": header.pop("kind"),
        "header": header,
        "hardware": list(image.hardware),
        "min_version": image.min_version,
        "signature": image.signature,
        "signed_by": image.signed_by,
        "notes": image.notes,
        "created_at": image.created_at_ms,
        "by": image.by,
        "damaged": firmware.images.damaged(image),
    }


async def add(call: Call) -> Response:
    firmware = call.visit.site.firmware
    async with receive_image(call.visit, ImageFields.model_fields) as (fields, upload):
        facts = _facts(checked(ImageFields, fields, "form").model_dump())
        image = await firmware.images.add(upload, facts, by_of(call))
    place = {"Location": f"/api/v1/firmware/{image.id}"}
    return JSONResponse(described(firmware, image), 201, place)


def _facts(fields: dict[str, Any]) -> Facts:
    names = (name.strip() for name in fields.pop("hardware").split(","))
    return Facts(**fields, hardware=tuple(name for name in names if name))


async def find(call: Call) -> Any:
    firmware = call.visit.site.firmware
    items, following = page(firmware.images.all(), call.query, _key)
    return {"items": [described(firmware, image) for image in items], "next": following}


def _key(image: Image) -> str:
    """The newest first."""
    return f"{10**12 - image.id:012d}"


async def get(call: Call) -> Any:
    firmware = call.visit.site.firmware
    return described(firmware, firmware.images.get(call.path["number"]))


async def remove(call: Call) -> None:
    await call.visit.site.firmware.images.remove(call.path["number"], call.visit.person)


def _policy(firmware: Firmware) -> dict[str, Any]:
    signing = firmware.signing
    return {
        "require_vendor": signing.policy.require_vendor,
        "public_key": signing.public_key,
        "keys": [{"name": name, "public_key": key} for name, key in sorted(signing.keys.items())],
    }


async def policy(call: Call) -> Any:
    return _policy(call.visit.site.firmware)


async def set_policy(call: Call) -> Any:
    firmware = call.visit.site.firmware
    await firmware.signing.set_policy(call.body.require_vendor, call.visit.person)
    return _policy(firmware)


async def add_key(call: Call) -> Any:
    firmware = call.visit.site.firmware
    await firmware.signing.add_key(call.body.name, call.body.public_key, call.visit.person)
    return _policy(firmware)


async def remove_key(call: Call) -> None:
    await call.visit.site.firmware.signing.remove_key(call.path["name"], call.visit.person)


OPERATIONS = [
    Operation("POST", "/firmware", add, Access.SUPPLY, "Upload an image", TAG, reply=ImageOut, body=ImageIn,
              status=201, errors=(409, 429), upload=True),
    Operation("GET", "/firmware", find, Access.SUPPLY, "The images, the newest first", TAG, reply=ImagePage,
              query=PageQuery),
    Operation("GET", "/firmware/{number:int}", get, Access.SUPPLY, "One image", TAG, reply=ImageOut),
    Operation("DELETE", "/firmware/{number:int}", remove, Access.MANAGE, "Delete one that nobody needs", TAG,
              status=204, errors=(409,)),
    Operation("GET", "/firmware/policy", policy, Access.MANAGE, "Whose signatures count", TAG,
              reply=PolicyOut),
    Operation("PUT", "/firmware/policy", set_policy, Access.ADMINISTER, "Ask for a vendor's signature",
              TAG, reply=PolicyOut, body=PolicyIn),
    Operation("POST", "/firmware/keys", add_key, Access.ADMINISTER, "Trust a vendor's key", TAG,
              reply=PolicyOut, body=VendorKeyIn, status=201, errors=(409, 429)),
    Operation("DELETE", "/firmware/keys/{name}", remove_key, Access.ADMINISTER, "Trust it no longer", TAG,
              status=204),
]  # fmt: skip
