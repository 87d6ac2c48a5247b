"""Rollouts over REST with scripted modules: what every test of them needs."""

from typing import Any, Self

from .device import Board
from .world import ENDED, Updates, eventually

PLAN = {
    "waves": [{"rest": True}], "wait_s": 0, "success_percent": 100, "stop": {"count": 2},
    "on_stop": "pause", "concurrency": 4,
}  # fmt: skip
OVER = ("done", "stopped", "cancelled", "reverted")


class Fleet:
    """Modules that all run the same old image, which the catalogue knows."""

    def __init__(self, world: Updates, count: int, **manner: Any) -> None:
        self.world = world
        self.old = world.image()
        self.boards: list[Board] = [world.board(self.old, **manner) for _ in range(count)]
        world.online(*self.boards)
        for board in self.boards:
            eventually(lambda id=board.id: self.runs(id) == self.old["serial"], "what it runs is known")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for board in self.boards:
            board.stop()

    def runs(self, id: str) -> str | None:
        return self.world.module(id)["current_firmware"]

    @property
    def ids(self) -> list[str]:
        return [board.id for board in self.boards]

    def installed(self, image: dict[str, Any]) -> list[str]:
        return [board.id for board in self.boards if image["digest"] in board.installs]

    def offered(self, image: dict[str, Any]) -> list[str]:
        digest = image["digest"]
        return [board.id for board in self.boards if digest in {offer["digest"] for offer in board.offers}]


def begin(world: Updates, fleet: Fleet, image: dict[str, Any], **plan: Any) -> dict[str, Any]:
    body = {"name": "A rollout", "firmware_id": image["id"], "modules": fleet.ids} | PLAN | plan
    return world.call("POST", "/rollouts", 201, json=body)


def rollout_of(world: Updates, rollout: dict[str, Any]) -> dict[str, Any]:
    return world.call("GET", f"/rollouts/{rollout['id']}")


def members(world: Updates, rollout: dict[str, Any]) -> dict[str, str]:
    return {member["module"]: member["state"] for member in rollout_of(world, rollout)["members"]}


def ends(world: Updates, rollout: dict[str, Any], *states: str, within_s: float = 40) -> dict[str, Any]:
    def look() -> str:
        return str(rollout_of(world, rollout)["state"])

    def there() -> bool:
        state = look()
        assert state in states or state not in OVER, rollout_of(world, rollout)
        return state in states

    try:
        eventually(there, f"the rollout {states}", within_s)
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {rollout_of(world, rollout)}") from None
    return rollout_of(world, rollout)


def under_way(world: Updates, rollout: dict[str, Any]) -> list[dict[str, Any]]:
    jobs = [job for job in world.jobs() if job["rollout_id"] == rollout["id"]]
    assert jobs
    return [job for job in jobs if job["state"] not in ENDED]


def do(world: Updates, rollout: dict[str, Any], action: str, status: int = 200, **body: Any) -> Any:
    return world.call("POST", f"/rollouts/{rollout['id']}/{action}", status, json=body)
