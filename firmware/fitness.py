"""Whether a module may get an image, by all that is known of both."""

from firmware.catalogue import Catalogue
from firmware.compatibility import obstacles
from firmware.signing import Signing
from firmware.values import Image
from gateway.core import clock
from gateway.core.presence import PresenceBook
from gateway.core.values import Module

INTRODUCTION_MS = 10_000


class Fitness:
    def __init__(self, presence: PresenceBook, images: Catalogue, signing: Signing) -> None:
        self._presence = presence
        self._images = images
        self._signing = signing

    def obstacles(self, module: Module, image: Image, *, offering: bool = False) -> list[str]:
        """Each reason, as a sentence, why this module should not get this image; none: it may.

        What a module that was entered by hand will say is waited for: it counts once the image is offered.
        """
        runs = self._images.by_serial(module.firmware)
        spoken = offering or module.registered_at_ms is not None or self._is_known_by_voice(module)
        version = runs.version if runs else None
        reasons = obstacles(image, module, self._signing.policy, version, spoken=spoken)
        if self._images.damaged(image) and not offering:
            reasons.append(f"The file of {image.serial} is damaged. Upload it again.")
        return reasons

    def _is_known_by_voice(self, module: Module) -> bool:
        """One that is about to be entered has no number yet, and no presence."""
        return bool(module.number) and self._presence.of(module.id).last_seen_ms is not None

    def has_introduced_itself(self, module: Module) -> bool:
        """Whether it is there for so long that it has said what it ever will say of itself."""
        presence = self._presence.of(module.id)
        return presence.state == "online" and clock.now_ms() - presence.since_ms >= INTRODUCTION_MS
