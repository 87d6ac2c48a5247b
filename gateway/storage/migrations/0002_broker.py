"""What the embedded broker remembers."""

from typing import Any

from gateway.storage.models_broker import BROKER_TABLES


def up(migrator: Any, db: Any) -> None:
    db.create_tables(BROKER_TABLES)
