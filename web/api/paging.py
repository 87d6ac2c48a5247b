"""Cursor paging: `{items, next}`; a cursor is opaque to clients and only says where the last page ended."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import Field

from gateway.core.errors import Invalid
from web.api.table import Model

T = TypeVar("T")
MAX_PAGE = 1000


class PageQuery(Model):
    cursor: str | None = Field(None, max_length=400, description="`next` of the page before")
    limit: int = Field(100, ge=1, le=MAX_PAGE, description="Items a page")


def cursor_of(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def key_of(cursor: str) -> str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise Invalid("This is no cursor of ours.") from None


def page(items: Sequence[T], query: PageQuery, key: Callable[[T], str]) -> tuple[list[T], str | None]:
    """The items after the cursor, in the order of `key` (unique and sorted), and the next cursor."""
    after = key_of(query.cursor) if query.cursor else None
    rest = [item for item in items if after is None or key(item) > after]
    chosen = rest[: query.limit]
    return chosen, cursor_of(key(chosen[-1])) if len(rest) > len(chosen) else None


def whole(items: list[Any]) -> dict[str, Any]:
    """A list that always fits on one page."""
    return {"items": items, "next": None}
