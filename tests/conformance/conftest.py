"""Every conformance test runs against both brokers, each started once."""

from contextlib import ExitStack

import pytest

from .brokers import COMMANDS, Fleet


@pytest.fixture(scope="session")
def fleet(tmp_path_factory):
    with ExitStack() as stack:
        yield Fleet(stack, tmp_path_factory.mktemp)


@pytest.fixture(params=list(COMMANDS))
def broker(request, fleet):
    """The broker under test; a broker that died during the test fails it."""
    yield fleet.get(request.param)
    fleet.check(request.param)


@pytest.fixture
def ours(fleet):
    """For what the standard leaves open and we promise (RELIABILITY.md)."""
    yield fleet.get("ours")
    fleet.check("ours")
