"""The card "Firmware" on a module's page."""

from dataclasses import dataclass

from firmware.house import Firmware
from gateway.core.errors import NotFound
from gateway.core.values import Module
from web.firmwareview import Choice, choices
from web.jobview import PAST, JobView, StepView, job_view, step_view
from web.language import gettext as _
from web.visit import Visit

# Images of other types are no news; so many that do not fit are enough.
MAX_OTHERS = 20
MAX_IMAGES = 100


@dataclass(frozen=True, slots=True)
class FirmwareCard:
    """`current` is proved or checked, `says` what it said last where that is another; `ways`: how it can
    fetch an image; `problem` and `unreachable`: why it cannot, as sentences."""

    current: str
    version: str
    says: str
    assigned: str
    job: JobView | None
    steps: tuple[StepView, ...]
    asked: JobView | None
    past: tuple[JobView, ...]
    fitting: tuple[Choice, ...]
    others: tuple[Choice, ...]
    ways: str
    problem: str
    unreachable: str


async def firmware_card(visit: Visit, module: Module) -> FirmwareCard:
    firmware = visit.site.firmware
    page = await firmware.ledger.page(module_number=module.number, limit=PAST + 1)
    latest = firmware.ledger.latest(module.number)
    jobs = [job_view(firmware, job) for _, job in page if latest is None or job.id != latest.id]
    newest = None if latest is None else job_view(firmware, latest)
    asked = next((job for job in jobs if job.id == visit.query("job")), newest)
    known = firmware.images.by_serial(module.firmware) if module.firmware else None
    fitting, others = _choices(firmware, module) if visit.manages else ([], [])
    reported = module.reported_firmware
    return FirmwareCard(
        current=module.firmware,
        version=known.version if known else "",
        says="" if reported == module.firmware else reported,
        assigned=module.assigned_firmware,
        job=newest,
        steps=await _steps(firmware, asked),
        asked=asked,
        past=tuple(jobs[:PAST]),
        fitting=tuple(fitting),
        others=tuple(others[:MAX_OTHERS]),
        ways=_ways(firmware, module),
        problem=firmware.addresses.advertised(module).problem if visit.manages else "",
        unreachable=_unreachable(firmware, module),
    )


async def _steps(firmware: Firmware, job: JobView | None) -> tuple[StepView, ...]:
    if job is None:
        return ()
    try:
        return tuple(step_view(step) for step in await firmware.ledger.history(job.id))
    except NotFound:
        return ()


def _choices(firmware: Firmware, module: Module) -> tuple[list[Choice], list[Choice]]:
    """The newest images of its type, apart by whether they fit."""
    own = [image for image in firmware.images.all() if image.type == module.type]
    return choices(firmware, ((image, module) for image in own[:MAX_IMAGES]))


def _unreachable(firmware: Firmware, module: Module) -> str:
    """Why no offer gets to it, as long as it is connected over something else than MQTT."""
    sessions = firmware.core.presence.of(module.id).sessions
    if not sessions or "mqtt" in sessions:
        return ""
    return _("Updates are offered over MQTT, and it is connected over something else: no offer reaches it.")


def _ways(firmware: Firmware, module: Module) -> str:
    """What its first probe showed."""
    probe = firmware.probing.of(module.number)
    if probe is None:
        return ""
    words = {True: _("works"), False: _("fails"), None: _("not tried")}
    return _("HTTP %(http)s, MQTT %(mqtt)s", http=words[probe.http], mqtt=words[probe.mqtt])
