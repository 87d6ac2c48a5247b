"""Images of the catalogue as pages show them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from firmware.house import Firmware
from firmware.values import Image
from gateway.core.values import Module
from web import updatewords, wording
from web.language import gettext as _
from web.recorded import recorded
from web.views import in_order, matches, seen_by, type_name
from web.visit import Visit

SHORT = 12
MAX_LISTED = 300


@dataclass(frozen=True, slots=True)
class ImageView:
    """`running` and `assigned` count modules; `fact` is the header in one line."""

    id: int
    serial: str
    version: str
    type_code: int
    type_name: str
    size: str
    bytes: int
    digest: str
    md5: str
    fact: str
    facts: tuple[tuple[str, str], ...]
    hardware: str
    min_version: str
    signed_by: str
    signature: str
    notes: str
    created_at_ms: int
    by: str
    running: int
    assigned: int
    damaged: bool

    @property
    def short(self) -> str:
        return self.digest[:SHORT]

    @property
    def title(self) -> str:
        return f"{self.serial} ({self.version})"


class ImageViews:
    """Every image with how many modules run it and should run it, counted once for a page."""

    def __init__(self, firmware: Firmware) -> None:
        self._firmware = firmware
        modules = list(firmware.core.registry.all())
        self._running = Counter(module.firmware.lower() for module in modules)
        self._assigned = Counter(module.assigned_firmware.lower() for module in modules)

    def newest(self, most: int) -> list[ImageView]:
        return [self.view(image) for image in self._firmware.images.all()[:most]]

    def view(self, image: Image) -> ImageView:
        facts = updatewords.header_facts(image.header)
        serial = image.serial.lower()
        return ImageView(
            id=image.id,
            serial=image.serial,
            version=image.version,
            type_code=image.type,
            type_name=type_name(self._firmware.core, image.type),
            size=updatewords.size(image.size),
            bytes=image.size,
            digest=image.digest,
            md5=image.md5,
            fact=" · ".join(updatewords.header_line(image.header)),
            facts=tuple(facts),
            hardware=", ".join(image.hardware),
            min_version=image.min_version,
            signed_by=_signed_by(image),
            signature=image.signature,
            notes=image.notes,
            created_at_ms=image.created_at_ms,
            by=image.by,
            running=self._running[serial],
            assigned=self._assigned[serial],
            damaged=self._firmware.images.damaged(image),
        )


def _signed_by(image: Image) -> str:
    return {"": _("nobody"), "gateway": _("this gateway")}.get(image.signed_by, image.signed_by)


@dataclass(frozen=True, slots=True)
class Choice:
    """Whether an image and a module go together; `obstacles` say why not. `has` is what the module runs."""

    image_id: int
    serial: str
    version: str
    module_id: str
    title: str
    subtitle: str
    status: str
    status_word: str
    has: str
    note: str
    obstacles: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return not self.obstacles


def choice(firmware: Firmware, image: Image, module: Module) -> Choice:
    status = firmware.core.status(module)
    return Choice(
        image_id=image.id,
        serial=image.serial,
        version=image.version,
        module_id=module.id,
        title=module.name or module.id,
        subtitle=" · ".join(text for text in (module.id if module.name else "", module.location) if text),
        status=status,
        status_word=wording.status_word(status),
        has=module.firmware or module.reported_firmware,
        note=_note(firmware, image, module),
        obstacles=tuple(recorded(text) for text in firmware.assignments.obstacles(module, image)),
    )


def _note(firmware: Firmware, image: Image, module: Module) -> str:
    """What makes an assignment needless."""
    if module.firmware == image.serial:
        return _("runs it already")
    job = firmware.ledger.open_of(module.number)
    return _("on its way") if job is not None and job.image_id == image.id else ""


def candidates(visit: Visit, image: Image, most: int, q: str = "") -> tuple[list[Module], int]:
    """Approved modules of its type that the visitor looks after, with `q` in name, id or place: so many in
    the order of names, and how many there are."""
    core, code = visit.site.core, str(image.type)
    seen = seen_by(core, visit.person)
    found = [m for m in seen if m.life == "approved" and matches(core, m, type=code, q=q)]
    # Numbers count as numbers only among those that are shown: to sort all that way takes too long.
    found.sort(key=lambda module: (module.name or module.id).lower())
    return in_order(found[:most]), len(found)


def choices(firmware: Firmware, pairs: Iterable[tuple[Image, Module]]) -> tuple[list[Choice], list[Choice]]:
    """Those that go together, and those that do not."""
    made = [choice(firmware, image, module) for image, module in pairs]
    return [each for each in made if each.fits], [each for each in made if not each.fits]
