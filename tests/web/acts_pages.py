"""Every form of the pages that changes something, filled in so that it is taken."""

from tests.web.house import PASSWORD
from tests.web.stage import KEY, Act, Recipe, Stage, at, on

NEW_PASSWORD = "another long password"
TICK = {"confirm": "yes"}
HOOK = {"name": "NEW", "url": "http://127.0.0.1:9/x", "kinds": "offline", "language": "en"}


async def log_in(stage: Stage) -> Act:
    person = await stage.person()
    name = person.session and stage.house.people[list(stage.house.people)[-1]].name
    return Act("/login", {"username": name, "password": PASSWORD}, stage.house.anybody(), "/login")


async def log_out(stage: Stage) -> Act:
    return Act("/logout", caller=await stage.person())


async def join_us(stage: Stage) -> Act:
    _, code = await stage.invited()
    body = {"code": code, "username": stage.name("j"), "password": PASSWORD, "again": PASSWORD}
    return Act("/join-us", body, stage.house.anybody(), "/join-us")


async def sign_up(stage: Stage) -> Act:
    await stage.asked()
    body = {"username": stage.name("s"), "password": PASSWORD, "again": PASSWORD}
    return Act("/sign-up", body, stage.house.anybody(stage.name("10.7.0")), "/sign-up")


async def claim(stage: Stage) -> Act:
    return Act("/claim", {"code": await stage.claim_code()}, await stage.person())


async def give(stage: Stage) -> Act:
    return Act(f"/modules/{await stage.module()}/give", {"owner_id": str(await stage.user())})


async def assign(stage: Stage) -> Act:
    id, image = await stage.assignable()
    return Act(f"/modules/{id}/firmware", {"image": str(image)})


async def assign_image(stage: Stage) -> Act:
    id, image = await stage.assignable()
    return Act(f"/firmware/{image}/assign", {"id": id})


async def unassign(stage: Stage) -> Act:
    job = await stage.house.firmware.ledger.find(await stage.job())
    module = stage.core.registry.numbered(job.module_number)
    return Act(f"/modules/{module.id}/firmware/unassign", TICK)


async def cancel_update(stage: Stage) -> Act:
    job = await stage.house.firmware.ledger.find(await stage.job())
    module = stage.core.registry.numbered(job.module_number)
    return Act(f"/modules/{module.id}/firmware/cancel", {"job": job.id, **TICK})


async def retry_update(stage: Stage) -> Act:
    job = await stage.house.firmware.ledger.find(await stage.cancelled())
    module = stage.core.registry.numbered(job.module_number)
    return Act(f"/modules/{module.id}/firmware/retry", {"job": job.id})


async def roll_out(stage: Stage) -> Act:
    id, image = await stage.assignable()
    body = {"name": stage.name(), "firmware": str(image), "who": "modules", "id": id, "stop_by": "count"}
    return Act("/rollouts", {**body, "stop_count": "1", "on_stop": "pause"})


async def add_type(stage: Stage) -> Act:
    code = await stage.own_type() + 1000
    return Act("/types", {"code": str(code), "name": "Fan", "power": "mains"})


async def change_type(stage: Stage) -> Act:
    page = f"/types/{await stage.own_type()}"
    return Act(page, {"name": stage.name()}, await stage.house.browser("admin"), page)


async def profile(stage: Stage) -> Act:
    return Act("/account/profile", {"name": stage.name(), "email": "x@example.org"}, await stage.person())


async def preferences(stage: Stage) -> Act:
    body = {"language": "fr", "zone": "Europe/Paris", "theme": "dark"}
    return Act("/account/preferences", body, await stage.person())


async def language(stage: Stage) -> Act:
    return Act("/language", {"language": "fr"}, await stage.person())


async def password(stage: Stage) -> Act:
    body = {"current": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD}
    return Act("/account/password", body, await stage.person())


async def end_session(stage: Stage) -> Act:
    mine = await stage.person()
    name = list(stage.house.people)[-1]
    other = await stage.house.browser(name)
    return Act(f"/account/sessions/{other.session.id}/end", caller=mine)


async def everywhere(stage: Stage) -> Act:
    return Act("/account/logout-everywhere", caller=await stage.person())


async def add_token(stage: Stage) -> Act:
    body = {"name": stage.name(), "scope": "read", "role": "user", "days": "30"}
    return Act("/account/tokens", body, await stage.person())



async def edit_channel(stage: Stage) -> Act:
    return Act(f"/admin/notifications/{await stage.channel()}/edit", {**HOOK, "name": stage.name()})


async def upload_image(stage: Stage) -> Act:
    fields = {"serial": stage.name("up"), "version": "1", "type": "7"}
    await stage.image()
    file = ("x.bin", stage.name("image").encode() * 50)
    return Act("/firmware", {"fields": fields, "files": {"file": file}})


async def bulk(stage: Stage) -> Act:
    ids = f"{await stage.module()},{await stage.module()}"
    return Act("/modules/bulk", {"action": "group", "group": "attic", "ids": ids, "step": "do", **TICK})


async def bring(stage: Stage) -> Act:
    table = f"serial,type\n{stage.name('I')},7\n"
    return Act("/modules/import", {"csv": table, "means": "token", "step": "enter"})


ACTS: dict[str, Recipe] = {
    "POST /login": log_in,
    "POST /logout": log_out,
    "POST /join-us": join_us,
    "POST /sign-up": sign_up,
    "POST /join": at("/join", mode="window", seconds="3600", quota="1000"),
    "POST /claim": claim,
    "POST /modules/bulk": bulk,
    "POST /modules/import": bring,
    "POST /waiting/decide": on(Stage.waiting, "/waiting/decide", id="{}", decision="approve"),
    "POST /waiting/claims/{number:int}": on(Stage.claim, "/waiting/claims/{}", decision="approve"),
    "POST /waiting/declare": at("/waiting/declare", serial="NEW", type="7"),
    "POST /modules/{id}/unreject": on(Stage.rejected, "/modules/{}/unreject"),
    "POST /modules/{id}/edit": on(Stage.module, "/modules/{}/edit", name="NEW"),
    "POST /modules/{id}/give": give,
    "POST /modules/{id}/unclaim": on(Stage.owned, "/modules/{}/unclaim", **TICK),
    "POST /modules/{id}/settings": on(
        Stage.module, "/modules/{}/settings", key="speed", value="3", version="0"
    ),
    "POST /modules/{id}/settings/remove": on(
        Stage.desired, "/modules/{}/settings/remove", key="speed", version="1", **TICK
    ),
    "POST /modules/{id}/commands/{command}": on(Stage.station, "/modules/{}/commands/start"),
    "POST /modules/{id}/commands/{command}/cancel": on(Stage.command, "/modules/{}/cancel"),
    "POST /modules/{id}/commands/{command}/repeat": on(Stage.command, "/modules/{}/repeat"),
    "POST /modules/{id}/rotate-token": on(Stage.module, "/modules/{}/rotate-token", **TICK),
    "POST /modules/{id}/revoke": on(Stage.module, "/modules/{}/revoke", **TICK),
    "POST /modules/{id}/delete": on(Stage.module, "/modules/{}/delete", **TICK),
    "POST /modules/{id}/firmware": assign,
    "POST /modules/{id}/firmware/cancel": cancel_update,
    "POST /modules/{id}/firmware/retry": retry_update,
    "POST /modules/{id}/firmware/unassign": unassign,
    "POST /firmware": upload_image,
    "POST /firmware/policy": at("/firmware/policy", require_vendor="yes", **TICK),
    "POST /firmware/keys": on(Stage.no_vendor_key, "/firmware/keys", name="NEW", public_key=KEY),
    "POST /firmware/keys/{name}/delete": on(Stage.vendor_key, "/firmware/keys/{}/delete", **TICK),
    "POST /firmware/{number:int}/assign": assign_image,
    "POST /firmware/{number:int}/delete": on(Stage.image, "/firmware/{}/delete", **TICK),
    "POST /rollouts": roll_out,
    "POST /rollouts/{number:int}/pause": on(Stage.rollout, "/rollouts/{}/pause", **TICK),
    "POST /rollouts/{number:int}/resume": on(Stage.paused, "/rollouts/{}/resume", **TICK),
    "POST /rollouts/{number:int}/cancel": on(Stage.rollout, "/rollouts/{}/cancel", **TICK),
    "POST /types": add_type,
    "POST /types/{code:int}": change_type,
    "POST /types/{code:int}/delete": on(Stage.own_type, "/types/{}/delete", **TICK),
    "POST /account/profile": profile,
    "POST /account/password": password,
    "POST /account/sessions/{number:int}/end": end_session,
    "POST /account/logout-everywhere": everywhere,
    "POST /account/preferences": preferences,
    "POST /language": language,
    "POST /account/tokens": add_token,
    "POST /account/tokens/{number:int}/revoke": on(Stage.token, "/account/tokens/{}/revoke", **TICK),
    "POST /admin/maintenance": on(Stage.maintained, "/admin/maintenance", maintenance="off"),
    "POST /admin/bootstrap": at("/admin/bootstrap", type="7"),
    "POST /admin/bootstrap/{number:int}/delete": on(Stage.bootstrap, "/admin/bootstrap/{}/delete", **TICK),
    "POST /admin/clients/{number:int}/delete": on(Stage.program, "/admin/clients/{}/delete", **TICK),
    "POST /admin/settings": at(
        "/admin/settings", group="Programs", **{"rest.calls_a_minute": "1234"}
    ),
    "POST /admin/users": at("/admin/users", username="NEW", password=PASSWORD, role="user"),
    "POST /admin/users/{number:int}": on(Stage.user, "/admin/users/{}", change="lock"),
    "POST /admin/invitations": at("/admin/invitations", role="user", days="7"),
    "POST /admin/invitations/{number:int}/delete": on(
        Stage.invitation, "/admin/invitations/{}/delete", **TICK
    ),
    "POST /admin/sign-ups/{number:int}": on(Stage.asked, "/admin/sign-ups/{}", decision="reject", **TICK),
    "POST /admin/services": at("/admin/services", name="NEW", role="reader"),
    "POST /admin/services/{name}/rotate": on(Stage.service, "/admin/services/{}/rotate", **TICK),
    "POST /admin/services/{name}/delete": on(Stage.service, "/admin/services/{}/delete", **TICK),
    "POST /admin/notifications/webhook": at("/admin/notifications/webhook", **HOOK),
    "POST /admin/notifications/email": at(
        "/admin/notifications/email", name="NEW", kinds="offline", host="127.0.0.1", port="25",
        security="none", sender="a@example.org", receivers="b@example.org", language="en",
    ),
    "POST /admin/notifications/ntfy": at(
        "/admin/notifications/ntfy", name="NEW", kinds="offline", url="http://127.0.0.1:9", topic="t",
        language="en",
    ),
    "POST /admin/notifications/rules": at(
        "/admin/notifications/rules", group="attic", minutes="7", default="10"
    ),
    "POST /admin/notifications/{number:int}/edit": edit_channel,
    "POST /admin/notifications/{number:int}/test": on(Stage.channel, "/admin/notifications/{}/test"),
    "POST /admin/notifications/{number:int}/delete": on(
        Stage.channel, "/admin/notifications/{}/delete", **TICK
    ),
}  # fmt: skip

# What writes no row, or not one that a request here could show, and why.
NONE = {
    "POST /setup": "before there is anybody; it writes user.add and user.log_in (test_login)",
    "POST /login/code": "the second half of a login, whose one row is user.log_in (test_login_steps)",
    "POST /theme": "a colour is nobody's business: it is kept in a cookie",
    "POST /modules/import/secrets": "hands out once what the import made; the import has the rows",
    "POST /types/import": "fills the form of a type from a file; saving it has the row",
    "POST /admin/audit/verify": "reads the trail and changes nothing",
    "POST /admin/backup": "needs the roof; its row gateway.backup is written there (tests/gateway/backup)",
    "POST /notifications/seen": "what one has seen is one's own bookmark",
    "POST /rollouts/{number:int}/retry": "needs updates that failed; rollout.retry (tests/firmware)",
    "POST /rollouts/{number:int}/revert": "needs modules that run the image; rollout.revert (tests/firmware)",
    "POST /account/second-factor": "offers a secret that counts for nothing until it is confirmed",
    "POST /account/second-factor/confirm": "needs a code of an app; see test_accounts_factor",
    "POST /account/second-factor/codes": "needs a second factor; user.recovery_codes (test_accounts_factor)",
    "POST /account/second-factor/off": "needs a second factor; user.second_factor_off (test_accounts_factor)",
}
# More than one row, and why.
ROWS = {
    "POST /join-us": (2, "a person comes to be, and is logged in"),
    "POST /account/password": (1, "and one for all other sessions that end, if there are any"),
    "POST /modules/bulk": (2, "one for each of the two modules, so that each has its own history"),
}
