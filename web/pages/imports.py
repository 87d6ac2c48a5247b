"""Many devices entered from a list: checked line by line, then all or none, their secrets given once."""

from dataclasses import replace
from typing import Any

from anyio import to_thread
from starlette.datastructures import UploadFile
from starlette.responses import Response

from gateway.core import importing
from gateway.core.declaring import Declarations, Fault, Means
from gateway.core.errors import GatewayError, Invalid, NotFound
from web.access import Access
from web.language import gettext as _
from web.language import ngettext
from web.notices import Notice
from web.pages.table import Page
from web.visit import Visit

MAX_SHOWN = 200
FORM = "/modules/import"
_MEANS: dict[str, Means] = {"token": "token", "key": "key", "window": "window"}


def means_words() -> list[tuple[str, str]]:
    return [
        ("token", _("Each gets its token, which you put on the device")),
        ("key", _("Each gets a key, with which the device fetches its token")),
        ("window", _("None: each is let in when it asks while a window is open")),
    ]


async def show(visit: Visit, **found: Any) -> Response:
    """`found`: what a check found of `text`."""
    core = visit.site.core
    text = found.pop("text", "") or importing.example(core.types.all())
    empty: dict[str, Any] = {"checked": False, "entries": [], "faults": [], "more": 0}
    return await visit.long_page(
        "import.html",
        text=text,
        means=means_words(),
        types=[(kind.code, _(kind.name)) for kind in core.types.all()],
        proof=core.decisions.proofs.required,
        chosen=visit.text("means") or "token",
        most=MAX_SHOWN,
        **(empty | found),
    )


async def check(visit: Visit) -> Response:
    """Without the tick nothing is entered: what would be is shown, and what is wrong, line by line."""
    try:
        text = await _text(visit)
    except Invalid as refused:
        return await show(replace(visit, refused=refused))
    declarations = visit.site.core.decisions.declarations
    # Thousands of lines take their time, and the loop has others to serve.
    sheet, faults = await to_thread.run_sync(_checked, text, declarations)
    if visit.text("step") == "enter" and not faults and visit.refused is None:
        try:
            return await _enter(visit, sheet)
        except GatewayError as error:
            visit = replace(visit, refused=error)
    return await show(visit, text=text, **_report(sheet, faults))


def _checked(text: str, declarations: Declarations) -> tuple[importing.Sheet, list[Fault]]:
    sheet = importing.read(text)
    return sheet, importing.faults_of(sheet, declarations)


def _report(sheet: importing.Sheet, faults: list[Fault]) -> dict[str, Any]:
    return {
        "checked": True,
        "entries": sheet.entries,
        "faults": faults[:MAX_SHOWN],
        "more": max(0, len(faults) - MAX_SHOWN),
    }


async def _text(visit: Visit) -> str:
    """Of the file, if one was chosen, or else as it was typed."""
    file = visit.form.get("file")
    if not isinstance(file, UploadFile) or not file.size:
        typed = visit.form.get("csv", "")
        return typed if isinstance(typed, str) else ""
    raw = await file.read()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        # What spreadsheets of old write.
        return raw.decode("cp1252", errors="replace")


async def _enter(visit: Visit, sheet: importing.Sheet) -> Response:
    means = _means(visit)
    declarations = visit.site.core.decisions.declarations
    entered = await importing.enter(sheet, declarations, visit.person, means)
    said = ngettext("%(num)s device was entered.", "%(num)s devices were entered.", len(entered))
    if means == "window":
        return visit.go("/modules", Notice(said))
    session_id = visit.session.id if visit.session else 0
    key = visit.site.handouts.put(session_id, importing.handout(entered, means))
    return visit.page("import_done.html", said=said, key=key, means=means)


def _means(visit: Visit) -> Means:
    if (means := _MEANS.get(visit.text("means"))) is None:
        raise Invalid("Choose how the devices prove themselves.")
    return means


async def hand_out(visit: Visit) -> Response:
    """The file with the secrets, once."""
    session_id = visit.session.id if visit.session else 0
    text = visit.site.handouts.take(session_id, visit.text("key"))
    if text is None:
        raise NotFound(
            "This list was fetched already, or too much time has passed; rotate the tokens instead."
        )
    headers = {"Content-Disposition": 'attachment; filename="devices.csv"', "Cache-Control": "no-store"}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


PAGES = [
    Page("GET", FORM, show, Access.MANAGE),
    Page("POST", FORM, check, Access.MANAGE, stale=check, files=1),
    Page("POST", "/modules/import/secrets", hand_out, Access.MANAGE),
]
