"""One error tree. Every transport has one table from these classes to its own replies."""


class GatewayError(Exception):
    """A refusal with a sentence for the person or program that asked; `code` is its stable short name."""

    code = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


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

    def __init__(self, message: str, retry_after_s: int = 10) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooMany(GatewayError):
    """Rate limited; `retry_after_s` says how long to wait."""

    code = "too_many"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
