"""Templates: always escaped, with the few words and filters that pages need."""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.core.access.preferences import zones
from web import language, updatewords, wording

HERE = Path(__file__).parent
_STATUS_ICONS = {
    "queued": "pending",
    "sent": "send",
    "accepted": "info",
    "done": "online",
    "failed": "warning",
    "expired": "pending",
    "canceled": "cancel",
    **{status: status for status in wording.STATUS_WORDS},
}


def status_icon(status: str) -> str:
    return _STATUS_ICONS.get(status, "info")


def slug(text: str) -> str:
    """Letters, digits and dashes, for element ids."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")


def environment() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    # Values are escaped, the texts of our catalogues are not.
    i18n: Any = templates
    i18n.install_gettext_callables(language.found, language.found_of, newstyle=True)
    templates.filters |= {
        "said": language.told,
        "worded": language.gettext,
        "age": wording.age,
        "until": wording.until,
        "iso": wording.iso,
        "clock": wording.clock,
        "shown": wording.shown,
        "bytes": updatewords.size,
        "slug": slug,
    }
    templates.globals["status_icon"] = status_icon
    templates.globals["all_zones"] = sorted(zones())
    return templates


def render(templates: Environment, name: str, context: dict[str, Any]) -> str:
    return templates.get_template(name).render(context)
