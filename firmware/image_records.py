"""Images as rows, on the database's thread; and who still needs one."""

import msgspec
from peewee import fn

from firmware.values import ENDED, Header, Image
from gateway.core import audit
from gateway.storage.models_firmware import ImageRow, JobRow, MemberRow, RolloutRow

ROLLOUT_ENDED = ("done", "cancelled", "reverted")
_SAME = (
    "id", "serial", "version", "type", "digest", "md5", "size", "min_version", "notes", "signature",
    "signed_by", "created_at_ms", "by",
)  # fmt: skip


def load_images() -> list[Image]:
    return [_image(row) for row in ImageRow.select().order_by(ImageRow.id.desc())]


def _image(row: ImageRow) -> Image:
    return Image(
        header=msgspec.json.decode(row.header, type=Header),
        hardware=msgspec.json.decode(row.hardware, type=tuple[str, ...]),
        **{name: getattr(row, name) for name in _SAME},
    )


def insert_image(draft: Image) -> int:
    """The row and its line in the trail; returns the image's number."""
    values = {name: getattr(draft, name) for name in _SAME if name != "id"}
    number = ImageRow.insert(
        folded_serial=draft.serial.lower(),
        kind=draft.header.kind,
        header=msgspec.json.encode(draft.header).decode(),
        hardware=msgspec.json.encode(draft.hardware).decode(),
        **values,
    ).execute()
    audit.write(
        "firmware.add", draft.serial, draft.by, digest=draft.digest, size=draft.size, type=draft.type,
        version=draft.version, signed_by=draft.signed_by,
    )  # fmt: skip
    return int(number)


def delete_image(image: Image, by: str) -> str | None:
    """Take it out, unless an update or a rollout needs it: then which, as the end of a sentence."""
    if need := _need(image):
        return need
    ImageRow.delete().where(ImageRow.id == image.id).execute()
    audit.write("firmware.remove", image.serial, by, digest=image.digest, version=image.version)
    return None


def _need(image: Image) -> str | None:
    job = JobRow.get_or_none((JobRow.image_id == image.id) & JobRow.state.not_in(tuple(ENDED)))
    if job is not None:
        return f"an update with it is under way (job {job.id})"
    is_open = RolloutRow.state.not_in(ROLLOUT_ENDED)
    rollout = RolloutRow.get_or_none((RolloutRow.image_id == image.id) & is_open)
    if rollout is not None:
        return f"the rollout {rollout.name!r} is not over"
    goes_back = fn.LOWER(MemberRow.previous) == image.serial.lower()
    member = (
        MemberRow.select(RolloutRow.name)
        .join(RolloutRow, on=(RolloutRow.id == MemberRow.rollout_id))
        .where(goes_back & is_open)
        .tuples()
        .first()
    )
    return f"the rollout {member[0]!r} may have to go back to it" if member else None
