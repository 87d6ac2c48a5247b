import pytest

from tests.gateway.core.heart import Clock


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)
