"""What speaks against an image on a module, in sentences for whoever wants to assign it."""

import re
from collections.abc import Callable
from typing import Any

from firmware.signing import Policy
from firmware.values import Image
from firmware.versions import newer_or_equal
from gateway.core.values import Module

CHIPS = (
    "esp32-s31", "esp32-c61", "esp32-h21", "esp32-s2", "esp32-s3", "esp32-c2", "esp32-c3", "esp32-c5",
    "esp32-c6", "esp32-h2", "esp32-h4", "esp32-p4", "esp8266", "esp32",
)  # fmt: skip
_SIZE = re.compile(r"([0-9]{1,10}) ?(B|KB|KIB|K|MB|MIB|M)?")
_UNITS = {"B": 1, "K": 1024, "M": 1024**2}
_FLASH_KEYS = ("flash_size", "flash")


def obstacles(
    image: Image, module: Module, policy: Policy, runs: str | None = None, *, spoken: bool = True
) -> list[str]:
    """Each reason against it; none: it fits. `runs`: the version it runs now, None when that is not known.

    What a module has not said speaks against nothing, unless the image demands to know it; of one that
    has not `spoken` at all, not even then.
    """
    found = [check(image, module) for check in _CHECKS]
    if module.hardware or spoken:
        found.append(_other_hardware(image, module))
    if runs is not None or spoken:
        found.append(_too_old(image, module, runs))
    found.append(_unsigned(image, policy))
    return [sentence for sentence in found if sentence]


def _other_type(image: Image, module: Module) -> str:
    if image.type == module.type:
        return ""
    return f"{image.serial} is for modules of type {image.type}, and {module.id} is of type {module.type}."


def _other_hardware(image: Image, module: Module) -> str:
    if not image.hardware or any(is_of(module.hardware, name) for name in image.hardware):
        return ""
    wanted = " or ".join(image.hardware)
    if not module.hardware:
        return f"{image.serial} is for {wanted} only, and {module.id} has not said what hardware it is."
    return f"{image.serial} is for {wanted} only, and {module.id} is {_quoted(module.hardware)}."


def _other_chip(image: Image, module: Module) -> str:
    has = chip_of(module.hardware)
    if not image.header.chip or not has or has == image.header.chip:
        return ""
    return f"{image.serial} was built for {image.header.chip}, and {module.id} has an {has}."


def _too_big(image: Image, module: Module) -> str:
    flash = flash_of(module)
    needed = max(image.size, image.header.flash_size)
    if not flash or needed <= flash:
        return ""
    return f"{image.serial} needs {_megabytes(needed)} of flash, and {module.id} has {_megabytes(flash)}."


def _whole_flash(image: Image, module: Module) -> str:
    if not image.header.details.get("whole_flash"):
        return ""
    return (
        f"{image.serial} is a copy of a whole flash (boot loader, partitions and application), which no "
        "module can take over the air. Upload the application alone."
    )


_CHECKS: tuple[Callable[[Image, Module], str], ...] = (
    _other_type, _other_chip, _too_big, _whole_flash,
)  # fmt: skip


def _too_old(image: Image, module: Module, runs: str | None) -> str:
    if not image.min_version or (runs is not None and newer_or_equal(runs, image.min_version)):
        return ""
    has = "it is not known which version it runs" if runs is None else f"it runs {runs}"
    return f"{image.serial} can only follow version {image.min_version} or later on {module.id}; {has}."


def _unsigned(image: Image, policy: Policy) -> str:
    if not policy.require_vendor or policy.vendor_of(image) is not None:
        return ""
    signer = image.signed_by or "nobody"
    return (
        f"{image.serial} was signed by {_quoted(signer)}, and only images that a vendor's trusted key has "
        "signed may be assigned."
    )


def is_of(hardware: str, name: str) -> bool:
    """Whether a module that calls itself `hardware` is a `name`: the whole, or up to a - or _.

    `board` takes in `board-rev2`; but `esp32` does not take in `esp32-s3`, which is another chip.
    """
    has, name = hardware.strip().lower(), name.lower()
    if has != name and not has.startswith((f"{name}-", f"{name}_")):
        return False
    return name not in CHIPS or chip_of(has) == name


def chip_of(hardware: str) -> str:
    """The chip that a hardware name begins with, or nothing: `ESP32S3_DevKit` has an esp32-s3."""
    plain = re.sub(r"[^a-z0-9]", "", hardware.lower())
    return next((chip for chip in CHIPS if plain.startswith(chip.replace("-", ""))), "")


def flash_of(module: Module) -> int:
    """Bytes of flash, as far as the module has said that in a way we understand; else 0."""
    said = next((module.information[key] for key in _FLASH_KEYS if key in module.information), None)
    return _size(said)


def _size(said: Any) -> int:
    if isinstance(said, int) and not isinstance(said, bool):
        return max(0, said)
    form = _SIZE.fullmatch(said.strip().upper()) if isinstance(said, str) else None
    return int(form[1]) * _UNITS[(form[2] or "B")[0]] if form else 0


def _megabytes(size: int) -> str:
    return f"{size / 1024**2:.1f} MB".replace(".0 ", " ")


def _quoted(text: str) -> str:
    return repr(text[:64])
