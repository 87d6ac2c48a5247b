"""Every test of the device runs under the real MicroPython and under CPython."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import INTERPRETERS, Board, Mosquitto, StandIn, running


@pytest.fixture(params=INTERPRETERS)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    board = Board(tmp_path / "board", request.param)
    yield board
    board.cut_power()
    assert not board.count("Traceback"), "\n".join(board.lines)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with running(Mosquitto(tmp_path)) as broker:
        yield broker


@pytest.fixture
def gateway(broker: Mosquitto) -> Iterator[StandIn]:
    gateway = StandIn(broker.port)
    yield gateway
    gateway.close()
