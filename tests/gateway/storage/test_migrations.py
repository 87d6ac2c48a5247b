"""A database made by the migrations is the one that the models speak of."""

import sqlite3

from gateway.storage import (
    models_alerts,
    models_broker,
    models_dialects,
    models_firmware,
    models_history,
    models_people,
    models_preferences,
    models_rest,
    models_scope,
    models_timeline,
)
from gateway.storage.database import open_database
from gateway.storage.models import CORE_TABLES, proxy

TABLES = (
    *CORE_TABLES,
    *models_alerts.ALERT_TABLES,
    *models_broker.BROKER_TABLES,
    *models_dialects.DIALECT_TABLES,
    *models_firmware.FIRMWARE_TABLES,
    *models_people.PEOPLE_TABLES,
    *models_scope.SCOPE_TABLES,
    *models_preferences.PREFERENCE_TABLES,
    *models_rest.REST_TABLES,
    *models_history.HISTORY_TABLES,
    *models_timeline.TIMELINE_TABLES,
)


def schema(path):
    with sqlite3.connect(path) as db:
        rows = db.execute(
            "SELECT name, sql FROM sqlite_master"
            " WHERE name NOT LIKE 'schema_migration%' AND type != 'trigger'"
        )
        return {name: sql for name, sql in rows if not name.startswith("sqlite_")}


def test_migrations_make_the_tables_of_the_models(tmp_path):
    open_database(f"sqlite:///{tmp_path}/migrated.db", 1).close()
    migrated = open_database(f"sqlite:///{tmp_path}/models.db", 1)
    proxy.drop_tables(TABLES)
    proxy.create_tables(TABLES)
    migrated.close()
    assert schema(tmp_path / "migrated.db") == schema(tmp_path / "models.db")
    assert {table._meta.table_name for table in TABLES} <= schema(tmp_path / "migrated.db").keys()
