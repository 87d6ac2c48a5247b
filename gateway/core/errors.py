"""One error tree. Every transport has one table from these classes to its own replies."""

from collections.abc import Iterable


class Said(str):
    """An English sentence that remembers how it was made, so that pages can say it in another language.

    `Said("There is no user %(id)s.", id=7)` is the text `There is no user 7.`; without values the template
    is the text, percent signs and all.
    """

    template: str
    values: dict[str, object]

    def __new__(cls, template: str, /, **values: object) -> "Said":
        text = super().__new__(cls, template % values if values else template)
        text.template, text.values = template, values
        return text


def joined(sentences: Iterable[str]) -> Said:
    """Several sentences as one text, each of which can still be said in another language."""
    named = {f"part{place}": sentence for place, sentence in enumerate(sentences)}
    return Said(" ".join(f"%({name})s" for name in named), **named)


class GatewayError(Exception):
    """A refusal with a sentence for the person or program that asked; `code` is its stable short name.

    The sentence is given as a template and its values: `Conflict("%(id)s is taken.", id=id)`.
    """

    code = "error"

    def __init__(self, template: str, /, **values: object) -> None:
        self.message = template if isinstance(template, Said) and not values else Said(template, **values)
        super().__init__(self.message)


class Invalid(GatewayError):
    """What was sent does not fit its declaration."""

    code = "invalid"


class NotFound(GatewayError):
    code = "not_found"


class Conflict(GatewayError):
    """Somebody else was first, or the state has moved on."""

    code = "conflict"


class Unauthenticated(GatewayError):
    code = "unauthenticated"


class Forbidden(GatewayError):
    code = "forbidden"


class Closed(GatewayError):
    """The gateway is not accepting newcomers."""

    code = "closed"


class Rejected(GatewayError):
    """A technician has refused this module; it stays refused until somebody takes that back."""

    code = "rejected"


class Full(GatewayError):
    code = "full"


class TooLarge(GatewayError):
    """More bytes than this may have."""

    code = "too_large"


class Unavailable(GatewayError):
    """Storage (or another part) cannot serve this now; `retry_after_s` says when it may work."""

    code = "unavailable"

    def __init__(self, template: str, retry_after_s: int = 10, /, **values: object) -> None:
        super().__init__(template, **values)
        self.retry_after_s = retry_after_s


class TooMany(GatewayError):
    """Rate limited; `retry_after_s` says how long to wait."""

    code = "too_many"

    def __init__(self, template: str, retry_after_s: int, /, **values: object) -> None:
        super().__init__(template, **values)
        self.retry_after_s = retry_after_s
