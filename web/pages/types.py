"""The module types: what there is, and for admins a form to declare, change and remove their own."""

from dataclasses import dataclass, replace

import msgspec
from starlette.responses import Response

from gateway.core.errors import GatewayError, Invalid
from gateway.core.own_types import is_own
from gateway.core.types import FIRST_OWN_CODE, ModuleType, check_own, declaration
from web.access import Access
from web.language import gettext as _
from web.language import later
from web.notices import Notice
from web.pages.table import Page
from web.typeform import Draft, FieldDraft, change_rows, draft_of, plain_data, typed_draft
from web.visit import Visit

PATH = "/types"
KINDS = (
    ("number", later("Number")), ("integer", later("Whole number")), ("boolean", later("Yes or no")),
    ("string", later("Text")), ("object", later("Object")), ("array", later("List")),
    ("any", later("Anything")),
)  # fmt: skip
POWERS = (("mains", later("Mains: offline after 90 s of silence")),
          ("battery", later("Battery: offline after 25 h of silence")))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    kind: ModuleType
    own: bool
    modules: int


def _row(visit: Visit, kind: ModuleType) -> Row:
    return Row(kind, is_own(kind), visit.site.core.own_types.used_by(kind.code))


async def show(visit: Visit) -> Response:
    return visit.page("types.html", rows=[_row(visit, kind) for kind in visit.site.core.types.all()])


async def show_one(visit: Visit) -> Response:
    kind = _asked(visit)
    if visit.administers and is_own(kind):
        return _form(visit, draft_of(kind), kind)
    return visit.page("type.html", row=_row(visit, kind), kind_words=_kinds())


async def show_new(visit: Visit) -> Response:
    codes = [kind.code for kind in visit.site.core.types.all()]
    free = max([*codes, FIRST_OWN_CODE - 1]) + 1
    return _form(visit, Draft(code=str(free), keys=[FieldDraft()]), None)


def _form(visit: Visit, draft: Draft, kind: ModuleType | None) -> Response:
    """Of a new type, or of one that is there."""
    return visit.page(
        "type_form.html",
        draft=draft,
        row=None if kind is None else _row(visit, kind),
        action=PATH if kind is None else f"{PATH}/{kind.code}",
        kinds=list(_kinds().items()),
        powers=[(code, _(words)) for code, words in POWERS],
    )


def _kinds() -> dict[str, str]:
    return {code: _(words) for code, words in KINDS}


def _asked(visit: Visit) -> ModuleType:
    return visit.site.core.types.get(visit.request.path_params["code"])


async def add(visit: Visit) -> Response:
    draft = typed_draft(visit.form)
    if visit.text("do") not in ("", "save"):
        return _with_rows(visit, draft, None)
    try:
        new = await visit.site.core.own_types.add(plain_data(draft), visit.person)
    except GatewayError as error:
        return _form(replace(visit, refused=error), draft, None)
    return visit.go(f"{PATH}/{new.code}", Notice(_("Type %(name)s is declared.", name=new.name)))


async def change(visit: Visit) -> Response:
    kind, draft = _asked(visit), typed_draft(visit.form)
    if visit.text("do") not in ("", "save"):
        return _with_rows(visit, draft, kind)
    try:
        data = plain_data(replace(draft, code=str(kind.code)))
        new = await visit.site.core.own_types.edit(kind.code, data, visit.person, draft.version)
    except GatewayError as error:
        return _form(replace(visit, refused=error), draft, kind)
    return visit.go(f"{PATH}/{new.code}", Notice(_("Type %(name)s is changed.", name=new.name)))


def _with_rows(visit: Visit, draft: Draft, kind: ModuleType | None) -> Response:
    """The same form with a row more or less; nothing is kept yet."""
    change_rows(draft, visit.text("do"))
    return _form(visit, draft, kind)


async def again(visit: Visit) -> Response:
    """What was typed, when it was not taken for want of a fresh token."""
    kind = _asked(visit) if "code" in visit.request.path_params else None
    return _form(visit, typed_draft(visit.form), kind)


async def remove(visit: Visit) -> Response:
    kind = _asked(visit)
    try:
        if visit.text("confirm") != "yes":
            raise Invalid("Tick the box first: the type goes for good.")
        await visit.site.core.own_types.remove(kind.code, visit.person)
    except GatewayError as error:
        return await show_one(replace(visit, refused=error))
    return visit.go(PATH, Notice(_("Type %(name)s is removed.", name=kind.name)))


# As JSON, from one gateway to the next


async def export(visit: Visit) -> Response:
    kind = _asked(visit)
    text = msgspec.json.format(msgspec.json.encode(kind), indent=2)
    headers = {"Content-Disposition": f'attachment; filename="type-{kind.code}.json"'}
    return Response(text, media_type="application/json", headers=headers)


async def bring(visit: Visit) -> Response:
    """A declaration as JSON fills the form; it is looked at before it is declared."""
    try:
        try:
            kind = declaration(msgspec.json.decode(visit.text("json")))
        except (msgspec.DecodeError, RecursionError, ValueError):
            raise Invalid("This is no JSON.") from None
        check_own(kind)
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    known = next((each for each in visit.site.core.types.all() if each.code == kind.code), None)
    draft = draft_of(kind)
    draft.version = draft_of(known).version if known else ""
    return _form(visit, draft, known)


PAGES = [
    Page("GET", PATH, show, Access.MANAGE),
    Page("GET", f"{PATH}/new", show_new, Access.ADMINISTER),
    Page("GET", f"{PATH}/{{code:int}}", show_one, Access.MANAGE),
    Page("GET", f"{PATH}/{{code:int}}/export", export, Access.MANAGE),
    Page("POST", PATH, add, Access.ADMINISTER, stale=again),
    Page("POST", f"{PATH}/import", bring, Access.ADMINISTER, stale=show),
    Page("POST", f"{PATH}/{{code:int}}", change, Access.ADMINISTER, stale=again),
    Page("POST", f"{PATH}/{{code:int}}/delete", remove, Access.ADMINISTER, stale=show_one),
]
