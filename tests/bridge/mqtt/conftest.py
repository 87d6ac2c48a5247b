"""These tests run on uvloop too (see test_transports)."""

import os

import pytest


@pytest.fixture(scope="session")
def anyio_backend():
    if os.environ.get("PASSERELLE_TEST_LOOP") == "uvloop":
        return "asyncio", {"use_uvloop": True}
    return "asyncio"
