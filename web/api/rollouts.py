"""Images on their way to many modules: planned, watched, halted, taken back."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import JSONResponse, Response

from firmware.rollout_values import Rollout
from firmware.rollouts import Rollouts
from gateway.core.rights import Person
from web.access import Access
from web.api.models_firmware import RetryIn, RolloutIn, RolloutOut, RolloutPage, RolloutWithMembers
from web.api.paging import PageQuery, page
from web.api.table import Call, Handler, Nothing, Operation

TAG = "Rollouts"
Step = Callable[[Rollouts, int, Person], Awaitable[Rollout]]


def _rollouts(call: Call) -> Rollouts:
    rollouts: Rollouts = call.visit.site.firmware.rollouts
    return rollouts


async def create(call: Call) -> Response:
    rollouts = _rollouts(call)
    plan = call.body.model_dump(exclude_unset=True, exclude_none=True, by_alias=True)
    made = await rollouts.create(plan, call.visit.person)
    return JSONResponse(rollouts.describe(made), 201, {"Location": f"/api/v1/rollouts/{made.id}"})


async def find(call: Call) -> Any:
    rollouts = _rollouts(call)
    ordered = sorted(rollouts.all_to(call.visit.principal), key=_key)
    items, following = page(ordered, call.query, _key)
    return {"items": [rollouts.describe(rollout) for rollout in items], "next": following}


def _key(rollout: Rollout) -> str:
    """The newest first."""
    return f"{10**12 - rollout.id:012d}"


async def get(call: Call) -> Any:
    rollouts = _rollouts(call)
    rollout = rollouts.get_to(call.path["number"], call.visit.principal)
    return rollouts.describe(rollout) | {"members": rollouts.members(rollout.id)}


def _step(step: Step) -> Handler:
    async def handler(call: Call) -> Any:
        rollouts = _rollouts(call)
        return rollouts.describe(await step(rollouts, call.path["number"], call.visit.person))

    return handler


async def retry(call: Call) -> Any:
    rollouts = _rollouts(call)
    override: bool = call.body.override
    return rollouts.describe(await rollouts.retry(call.path["number"], call.visit.person, override=override))


def _act(word: str, step: Step, summary: str) -> Operation:
    return Operation("POST", f"/rollouts/{{number:int}}/{word}", _step(step), Access.MANAGE, summary, TAG,
                     reply=RolloutOut, body=Nothing, errors=(409,))  # fmt: skip


OPERATIONS = [
    Operation("POST", "/rollouts", create, Access.MANAGE, "Plan one and start it", TAG, reply=RolloutOut,
              body=RolloutIn, status=201, errors=(404, 409)),
    Operation("GET", "/rollouts", find, Access.MANAGE, "Rollouts, the newest first", TAG, reply=RolloutPage,
              query=PageQuery),
    Operation("GET", "/rollouts/{number:int}", get, Access.MANAGE, "One, with every module in it", TAG,
              reply=RolloutWithMembers),
    _act("pause", Rollouts.pause, "Start nothing more; what is under way goes on"),
    _act("resume", Rollouts.resume, "Go on"),
    _act("cancel", Rollouts.cancel, "End it; what is under way is called back"),
    Operation("POST", "/rollouts/{number:int}/retry", retry, Access.MANAGE,
              "Try again where it did not succeed", TAG, reply=RolloutOut, body=RetryIn, errors=(409,)),
    _act("revert", Rollouts.revert, "Give every module back what it ran before"),
]  # fmt: skip
