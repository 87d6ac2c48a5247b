"""Every call of REST that changes something, sent so that it is done."""

from tests.web.house import PASSWORD
from tests.web.stage import KEY, Act, Recipe, Stage, at, on

HOOK = {"name": "NEW", "kind": "webhook", "target": {"url": "http://127.0.0.1:9/x"}}


async def log_in(stage: Stage) -> Act:
    await stage.person()
    name = list(stage.house.people)[-1]
    return Act("/auth/login", {"username": name, "password": PASSWORD}, stage.house.anybody())


async def log_out(stage: Stage) -> Act:
    return Act("/auth/logout", caller=await stage.person())


async def everywhere(stage: Stage) -> Act:
    return Act("/auth/sessions", None, await stage.person())


async def end_session(stage: Stage) -> Act:
    mine = await stage.person()
    other = await stage.house.browser(list(stage.house.people)[-1])
    return Act(f"/auth/sessions/{other.session.id}", None, mine)


async def claim(stage: Stage) -> Act:
    return Act("/modules/claim", {"code": await stage.claim_code()}, await stage.person())


async def assign(stage: Stage) -> Act:
    id, image = await stage.assignable()
    return Act(f"/modules/{id}/firmware", {"firmware_id": image})


async def roll_out(stage: Stage) -> Act:
    id, image = await stage.assignable()
    return Act("/rollouts", {"name": stage.name(), "firmware_id": image, "modules": [id]})


async def upload_image(stage: Stage) -> Act:
    fields = {"serial": stage.name("up"), "version": "1", "type": "7"}
    await stage.image()
    file = ("x.bin", stage.name("image").encode() * 50)
    return Act("/firmware", {"fields": fields, "files": {"file": file}})


async def add_type(stage: Stage) -> Act:
    return Act("/types", {"code": await stage.own_type() + 2000, "name": "Fan"})


async def change_type(stage: Stage) -> Act:
    return Act(f"/types/{await stage.own_type()}", {"name": stage.name()})


async def join_us(stage: Stage) -> Act:
    _, code = await stage.invited()
    body = {"code": code, "username": stage.name("j"), "password": PASSWORD}
    return Act("/invitations/accept", body, stage.house.anybody())


async def sign_up(stage: Stage) -> Act:
    await stage.asked()
    body = {"username": stage.name("s"), "password": PASSWORD}
    return Act("/sign-ups", body, stage.house.anybody(stage.name("10.8.0")))


async def add_token(stage: Stage) -> Act:
    return Act("/tokens", {"name": stage.name()}, await stage.person())


async def account(stage: Stage) -> Act:
    return Act("/account", {"name": stage.name()}, await stage.person())


async def give_program(stage: Stage) -> Act:
    return Act(f"/clients/{await stage.program()}", {"owner_id": await stage.user()})


ACTS: dict[str, Recipe] = {
    "POST /auth/login": log_in,
    "POST /auth/logout": log_out,
    "DELETE /auth/sessions": everywhere,
    "DELETE /auth/sessions/{number:int}": end_session,
    "POST /auth/key/rotate": at("/auth/key/rotate"),
    "PATCH /modules/{id}": on(Stage.module, "/modules/{}", name="NEW"),
    "DELETE /modules/{id}": on(Stage.module, "/modules/{}"),
    "POST /modules/{id}/approve": on(Stage.waiting, "/modules/{}/approve"),
    "POST /modules/{id}/reject": on(Stage.waiting, "/modules/{}/reject"),
    "POST /claims/{number:int}/approve": on(Stage.claim, "/claims/{}/approve"),
    "POST /claims/{number:int}/reject": on(Stage.claim, "/claims/{}/reject"),
    "POST /modules/{id}/unreject": on(Stage.rejected, "/modules/{}/unreject"),
    "POST /modules/{id}/revoke": on(Stage.module, "/modules/{}/revoke"),
    "POST /modules/{id}/rotate-token": on(Stage.module, "/modules/{}/rotate-token"),
    "POST /modules/claim": claim,
    "POST /modules/{id}/unclaim": on(Stage.owned, "/modules/{}/unclaim"),
    "POST /modules/{id}/commands": on(Stage.station, "/modules/{}/commands", command="start"),
    "POST /modules/{id}/commands/{command}/cancel": on(Stage.command, "/modules/{}/cancel"),
    "PUT /modules/{id}/desired": on(Stage.module, "/modules/{}/desired", version=0, values={"speed": 3}),
    "POST /firmware": upload_image,
    "DELETE /firmware/{number:int}": on(Stage.image, "/firmware/{}"),
    "PUT /firmware/policy": at("/firmware/policy", require_vendor=True),
    "POST /firmware/keys": on(Stage.no_vendor_key, "/firmware/keys", name="NEW", public_key=KEY),
    "DELETE /firmware/keys/{name}": on(Stage.vendor_key, "/firmware/keys/{}"),
    "PUT /modules/{id}/firmware": assign,
    "POST /firmware/jobs/{job}/cancel": on(Stage.job, "/firmware/jobs/{}/cancel"),
    "POST /firmware/jobs/{job}/retry": on(Stage.cancelled, "/firmware/jobs/{}/retry"),
    "POST /rollouts": roll_out,
    "POST /rollouts/{number:int}/pause": on(Stage.rollout, "/rollouts/{}/pause"),
    "POST /rollouts/{number:int}/resume": on(Stage.paused, "/rollouts/{}/resume"),
    "POST /rollouts/{number:int}/cancel": on(Stage.rollout, "/rollouts/{}/cancel"),
    "PUT /join": at("/join", mode="open"),
    "POST /types": add_type,
    "PUT /types/{code:int}": change_type,
    "DELETE /types/{code:int}": on(Stage.own_type, "/types/{}"),
    "PATCH /settings": at("/settings", **{"rest.calls_a_minute": 4321}),
    "PUT /maintenance": on(Stage.maintained, "/maintenance", on=False),
    "PUT /types/{code:int}/bootstrap-key": at("/types/7/bootstrap-key"),
    "DELETE /types/{code:int}/bootstrap-key": on(Stage.bootstrap, "/types/{}/bootstrap-key"),
    "PATCH /account": account,
    "POST /tokens": add_token,
    "DELETE /tokens/{number:int}": on(Stage.token, "/tokens/{}"),
    "POST /invitations": at("/invitations", role="user"),
    "DELETE /invitations/{number:int}": on(Stage.invitation, "/invitations/{}"),
    "POST /invitations/accept": join_us,
    "POST /sign-ups": sign_up,
    "POST /sign-ups/{number:int}/approve": on(Stage.asked, "/sign-ups/{}/approve", role="user"),
    "POST /sign-ups/{number:int}/reject": on(Stage.asked, "/sign-ups/{}/reject"),
    "POST /users": at("/users", username="NEW", password=PASSWORD),
    "PATCH /users/{user:int}": on(Stage.user, "/users/{}", role="technician"),
    "PUT /users/{user:int}/scope": on(Stage.user, "/users/{}/scope", groups=["attic"], acts=True),
    "DELETE /users/{user:int}/sessions": on(Stage.logged_in, "/users/{}/sessions"),
    "POST /service-accounts": at("/service-accounts", name="NEW", role="reader"),
    "POST /service-accounts/{name}/rotate-token": on(Stage.service, "/service-accounts/{}/rotate-token"),
    "DELETE /service-accounts/{name}": on(Stage.service, "/service-accounts/{}"),
    "PATCH /clients/{number:int}": give_program,
    "DELETE /clients/{number:int}": on(Stage.program, "/clients/{}"),
    "POST /notification-channels": at("/notification-channels", **HOOK),
    "PATCH /notification-channels/{number:int}": on(Stage.channel, "/notification-channels/{}", name="NEW"),
    "DELETE /notification-channels/{number:int}": on(Stage.channel, "/notification-channels/{}"),
    "PUT /notification-rules": at("/notification-rules", groups={"cellar": 3}),
}  # fmt: skip

NONE = {
    "POST /auth/refresh": "each program does it every ten minutes; the login has the row",
    "POST /audit/verify": "reads the trail and changes nothing",
    "POST /rollouts/{number:int}/retry": "needs updates that failed; rollout.retry (tests/firmware)",
    "POST /rollouts/{number:int}/revert": "needs modules that run the image; rollout.revert (tests/firmware)",
    "POST /notifications/seen": "what one has seen is one's own bookmark",
    "DELETE /users/{user:int}/second-factor": "needs a second factor; user.second_factor_off is tested there",
    "POST /notification-channels/{number:int}/test": "nobody takes it here; channel.test is tested there",
}
ROWS: dict[str, tuple[int, str]] = {}
