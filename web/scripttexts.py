"""The texts of our scripts, for a page in another language than English."""

from functools import cache
from gettext import c2py

from web.language import ENGLISH, read_catalogue

_FORMS = 200


@cache
def script_texts(code: str) -> dict[str, object]:
    """What a page's block of data holds: `messages`, and `forms`, the plural form of 0 to 199.

    Empty for English, which stands in the scripts themselves.
    """
    if code == ENGLISH:
        return {}
    catalogue = read_catalogue(code)
    messages: dict[str, object] = {}
    for message in catalogue:
        if message.string and any(place.endswith(".js") for place, _ in message.locations):
            key = message.id if isinstance(message.id, str) else message.id[0]
            messages[key] = message.string
    which = c2py(catalogue.plural_expr)
    return {"messages": messages, "forms": "".join(str(int(which(count))) for count in range(_FORMS))}
