"""The tables of the first release."""

from typing import Any

from gateway.storage.models import CORE_TABLES


def up(migrator: Any, db: Any) -> None:
    db.create_tables(CORE_TABLES)
