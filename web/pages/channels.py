"""Where alerts are told outside of the pages, and when a module is missed; for admins."""

from starlette.responses import Response

from gateway.core.errors import Invalid
from gateway.core.notify.alert_rules import DEFAULT, MOST_MINUTES
from gateway.core.notify.channel_values import CHANNEL_KINDS, ChannelKind
from web.access import Access
from web.alertview import channel_view
from web.channelform import empty_plan, form_of, plan_of, secret_of, words
from web.language import gettext as _
from web.notices import Notice
from web.pages.acting import Action, forms
from web.pages.table import Page
from web.visit import Visit

PATH = "/admin/notifications"
MOST_DIGITS = 5


async def show(visit: Visit) -> Response:
    core, alerting = visit.site.core, visit.site.core.alerting
    channels = alerting.channels.all()
    groups = {module.group for module in core.registry.all() if module.group} | set(alerting.rules.groups)
    return visit.page(
        "channels.html",
        channels=[
            (
                channel_view(core, channel),
                form_of(visit, f"{PATH}/{channel.id}/edit", channel.plan, channel.has_secret),
            )
            for channel in channels
        ],
        new_forms=[form_of(visit, f"{PATH}/{kind}", empty_plan(kind)) for kind in CHANNEL_KINDS],
        default_minutes=alerting.rules.default,
        most_minutes=MOST_MINUTES,
        groups=[(name, alerting.rules.groups.get(name, "")) for name in sorted(groups)],
        zone=core.settings.time_zone or "UTC",
        **words(),
    )


def _adding(kind: ChannelKind) -> Action:
    async def add(visit: Visit) -> Notice:
        plan, secret = plan_of(visit, kind, active=True), secret_of(visit)
        _channel, made = await visit.site.core.alerting.channels.add(plan, secret, visit.person)
        if kind == "webhook" and not secret:
            text = _("The channel %(name)s was added. Its receiver checks signatures with:", name=plan.name)
            return Notice(text, "warn", made, _("Secret"), hint=_("Copy it now: it is shown this once."))
        return Notice(_("The channel %(name)s was added. Send a test.", name=plan.name))

    return add


async def edit(visit: Visit) -> Notice:
    channels, number = visit.site.core.alerting.channels, visit.request.path_params["number"]
    before = channels.get(number)
    plan = plan_of(visit, before.plan.kind, active=bool(visit.text("active")))
    # An empty field keeps the secret; only the tick takes it away.
    secret = "" if visit.text("no_secret") else secret_of(visit) or None
    await channels.change(number, plan, secret, visit.person)
    return Notice(_("The channel %(name)s was changed.", name=plan.name))


async def test(visit: Visit) -> Notice:
    alerting, number = visit.site.core.alerting, visit.request.path_params["number"]
    name = alerting.channels.get(number).plan.name
    fault = await alerting.post.test(number, visit.person)
    if fault is not None:
        return Notice(_("The test over %(name)s failed: %(fault)s", name=name, fault=fault), "bad")
    return Notice(_("The test over %(name)s was taken.", name=name))


async def remove(visit: Visit) -> Notice:
    channels, number = visit.site.core.alerting.channels, visit.request.path_params["number"]
    name = channels.get(number).plan.name
    if visit.text("confirm") != "yes":
        raise Invalid("Tick the box to confirm; nothing was done.")
    await channels.remove(number, visit.person)
    return Notice(_("The channel %(name)s was removed, with what waited for it.", name=name))


async def set_rules(visit: Visit) -> Notice:
    core = visit.site.core
    named = zip(visit.texts("group"), visit.texts("minutes"), strict=False)
    groups = {name: _minutes(text) for name, text in named if name.strip() and text.strip()}
    default = _minutes(visit.text("default"))
    await core.alerting.rules.set(groups, visit.person)
    await core.choices.set({DEFAULT: default}, visit.person)
    return Notice(_("The rules were saved."))


def _minutes(text: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= MOST_DIGITS):
        raise Invalid("Minutes are a whole number from 0 (never) to %(most)s.", most=MOST_MINUTES)
    return int(digits)


PAGES = [
    Page("GET", PATH, show, Access.ADMINISTER),
    *forms(
        PATH,
        show,
        [
            *((f"{PATH}/{kind}", _adding(kind)) for kind in CHANNEL_KINDS),
            (f"{PATH}/rules", set_rules),
            (PATH + "/{number:int}/edit", edit),
            (PATH + "/{number:int}/test", test),
            (PATH + "/{number:int}/delete", remove),
        ],
    ),
]
