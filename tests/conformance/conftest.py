"""Every conformance test runs against both brokers, each started once."""

import secrets
from contextlib import ExitStack
from functools import partial

import pytest

from .brokers import COMMANDS, Fleet
from .client import Client


@pytest.fixture(scope="session")
def fleet(tmp_path_factory):
    with ExitStack() as stack:
        yield Fleet(stack, tmp_path_factory.mktemp)


@pytest.fixture(params=list(COMMANDS))
def broker(request, fleet):
    """The broker under test."""
    with fleet.watched(request.param) as broker:
        yield broker


@pytest.fixture
def ours(fleet):
    """For what the standard leaves open and we promise (RELIABILITY.md)."""
    with fleet.watched("ours") as broker:
        yield broker


@pytest.fixture
def dial(broker):
    """`dial(client_id, ...)` is a Client, connected within its `with`."""
    return partial(Client, broker.port)


@pytest.fixture
def base():
    """A word that no other test uses, for topics and client ids."""
    return f"t{secrets.token_hex(6)}"
