"""People: who has an account, who is invited, who asks for one; for admins."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.responses import Response

from gateway.core.access.people import User
from gateway.core.errors import GatewayError, Invalid
from gateway.core.rights import Role
from web import rolewords
from web.access import Access
from web.language import gettext as _
from web.notices import Notice
from web.pages.arrivals import JOIN
from web.pages.table import Handler, Page
from web.serviceview import service_views
from web.visit import Visit

PATH = "/admin/people"
Action = Callable[[Visit], Awaitable[Notice]]
MAX_DAYS_TYPED = 4


async def show(visit: Visit) -> Response:
    core, accounts = visit.site.core, visit.site.core.accounts
    return visit.page(
        "admin_people.html",
        users=accounts.people.all(),
        online={user.id for user in accounts.people.all() if accounts.sessions.living(user.id)},
        has_factor=accounts.factors.is_on,
        invitations=accounts.invitations.all(),
        sign_ups=accounts.sign_ups.all(),
        sign_up_open=accounts.sign_ups.is_open,
        taken=accounts.people.named,
        services=service_views(core, visit.site.roof.topic),
        role_name=rolewords.role_name,
        roles=rolewords.choices(),
        role_names=rolewords.names(),
        mqtt_host=visit.request.url.hostname or "",
        mqtt_port=core.settings.mqtt_port,
        tls=core.settings.tls_mode != "off",
    )


def page_after(action: Action) -> Handler:
    async def handler(visit: Visit) -> Response:
        try:
            notice = await action(visit)
        except GatewayError as error:
            return await show(replace(visit, refused=error))
        return visit.go(PATH, notice)

    return handler


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise Invalid("Choose a role from the list.") from None


def _user(visit: Visit) -> User:
    return visit.site.core.accounts.people.get(visit.request.path_params["number"])


async def add_user(visit: Visit) -> Notice:
    password = str(visit.form.get("password", ""))
    people = visit.site.core.accounts.people
    user = await people.add(visit.text("username"), password, _role(visit.text("role")), visit.person)
    role = rolewords.role_name(user.role)
    return Notice(_("%(name)s was added as %(role)s.", name=user.username, role=role))


async def change_role(visit: Visit) -> Notice:
    people, user = visit.site.core.accounts.people, _user(visit)
    changed = await people.edit(user.id, visit.person, role=_role(visit.text("role")))
    role = rolewords.role_name(changed.role)
    return Notice(_("%(name)s is %(role)s now and must log in again.", name=user.username, role=role))


async def lock(visit: Visit) -> Notice:
    user = _user(visit)
    await visit.site.core.accounts.people.edit(user.id, visit.person, active=False)
    return Notice(_("%(name)s is locked; all sessions have ended.", name=user.username))


async def unlock(visit: Visit) -> Notice:
    user = _user(visit)
    await visit.site.core.accounts.people.edit(user.id, visit.person, active=True)
    return Notice(_("%(name)s may log in again.", name=user.username))


async def end_sessions(visit: Visit) -> Notice:
    user = _user(visit)
    await visit.site.core.accounts.log_out_everywhere(user.id, visit.person)
    return Notice(_("%(name)s was logged out everywhere.", name=user.username))


async def reset_factor(visit: Visit) -> Notice:
    user = _user(visit)
    if visit.text("confirm") != "yes":
        raise Invalid("Tick the box to confirm; nothing was done.")
    await visit.site.core.accounts.factors.remove(user.id, user.username, visit.person)
    return Notice(
        _("%(name)s logs in by password alone until a new second factor is set up.", name=user.username)
    )


async def change_scope(visit: Visit) -> Notice:
    user, groups = _user(visit), visit.text("groups").split(",")
    acts = visit.text("acts") == "yes"
    await visit.site.core.accounts.people.set_scope(user.id, groups, acts, visit.person)
    return Notice(_("What %(name)s reaches was saved; all sessions have ended.", name=user.username))


_CHANGES: dict[str, Action] = {
    "role": change_role, "scope": change_scope, "lock": lock, "unlock": unlock, "sessions": end_sessions,
    "factor": reset_factor,
}  # fmt: skip


async def change_user(visit: Visit) -> Notice:
    change = _CHANGES.get(visit.text("change"))
    if change is None:
        raise Invalid("Choose what to change.")
    return await change(visit)


async def invite(visit: Visit) -> Notice:
    """The link holds the code behind its `#`, which browsers keep to themselves."""
    days = visit.text("days")
    if not (days.isascii() and days.isdecimal() and len(days) < MAX_DAYS_TYPED):
        raise Invalid("Days are a whole number.")
    made, code = await visit.site.core.accounts.invitations.add(
        _role(visit.text("role")), visit.person,
        groups=visit.text("groups"), note=visit.text("note"), days=int(days),
    )  # fmt: skip
    said = _("Give this link to one person, who becomes %(role)s:", role=rolewords.role_name(made.role))
    hint = _("Shown this once; it works once and ends in %(days)s days. Whoever has it gets in.", days=days)
    return Notice(said, "warn", f"{visit.base_url}{JOIN}#{code}", _("Invitation link"), hint)


async def take_back(visit: Visit) -> Notice:
    number = visit.request.path_params["number"]
    await visit.site.core.accounts.invitations.take_back(number, visit.person)
    return Notice(_("The invitation lets nobody in any more."))


async def decide(visit: Visit) -> Notice:
    sign_ups, number = visit.site.core.accounts.sign_ups, visit.request.path_params["number"]
    match visit.text("decision"):
        case "approve":
            role = _role(visit.text("role"))
            user = await sign_ups.approve(number, role, visit.person, visit.text("username"))
            said = rolewords.role_name(user.role)
            return Notice(_("%(name)s was added as %(role)s.", name=user.username, role=said))
        case "reject":
            asked = await sign_ups.reject(number, visit.person)
            return Notice(_("The request of %(name)s was rejected. Nobody is told.", name=asked.username))
        case _:
            raise Invalid("Choose to approve or to reject.")


_ACTIONS: list[tuple[str, Action]] = [
    ("/admin/users", add_user),
    ("/admin/users/{number:int}", change_user),
    ("/admin/invitations", invite),
    ("/admin/invitations/{number:int}/delete", take_back),
    ("/admin/sign-ups/{number:int}", decide),
]
PAGES = [
    Page("GET", PATH, show, Access.ADMINISTER),
    *(Page("POST", path, page_after(action), Access.ADMINISTER, stale=show) for path, action in _ACTIONS),
]
