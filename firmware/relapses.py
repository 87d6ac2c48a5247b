"""Which modules went back from which images, and why: those images are theirs only if an admin says so."""

from firmware.values import Job


class Relapses:
    """As long as the module lives, or until an update to that image is confirmed after all."""

    def __init__(self) -> None:
        self._why: dict[int, dict[int, str]] = {}

    def note(self, job: Job) -> None:
        if job.state == "rolled_back":
            self._why.setdefault(job.module_number, {})[job.image_id] = job.error or ""
        elif job.state == "confirmed":
            self._why.get(job.module_number, {}).pop(job.image_id, None)

    def why(self, module_number: int, image_id: int) -> str | None:
        """Why it went back from this image; None when it did not."""
        return self._why.get(module_number, {}).get(image_id)

    def forget(self, module_number: int) -> None:
        self._why.pop(module_number, None)
