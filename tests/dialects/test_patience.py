"""How long a word is waited for: 30 s for anybody's first, 10 s after a refused page, more while one asks.

All of it in one test, since all of it is waiting.
"""

import time

from .rawsocket import RawSocket
from .transports import Esp32
from .world import CLIENTS, World

PAGE_S, STRANGER_S = 10, 30
# Not before its time, and not much after: a busy machine and the server's own clock.
EARLY_S, LATE_S = 2, 15


def test_who_says_nothing_is_closed_and_who_asks_stays(world: World) -> None:
    id, token = world.register()
    board = Esp32(world, world.serial())
    board.enrol()
    known_id, known_token = world.approved()
    person = world.person("olga")
    began = time.monotonic()
    client = CLIENTS["python"]
    with (
        client(world.url) as silent, client(world.url) as babbler, client(world.url) as refused,
        client(world.url) as asking, client(world.url) as module, client(world.url) as program,
        RawSocket(world.url) as silent_board, RawSocket(world.url) as asking_board,
        client(world.url, headers=person.cookie) as person_page,
    ):  # fmt: skip
        board.line = asking_board
        module.say("module.register", {"token": known_token})
        program.say(
            "client.to.instance", {"action": "register", "parameters": {"information": {"name": "x"}}}
        )
        granted = program.hear("instance.to.client").data["parameters"]
        program.say("client.to.instance", {"action": "login", "parameters": {"token": granted["token"]}})
        refused.say("client:authenticate", {"userId": 1, "userType": "admin", "page": "admin"})
        refused.hear("client:auth:error")
        person_page.say("client:authenticate", {"page": "modules"})
        ended: dict[str, float] = {}
        strangers = {
            "silent": silent, "babbler": babbler, "refused": refused, "silent board": silent_board,
            "asking": asking, "asking board": asking_board,
            "module": module, "program": program, "person": person_page,
        }  # fmt: skip
        next_ask = 0.0
        while (now := time.monotonic() - began) < STRANGER_S + 6:
            if now >= next_ask:
                next_ask = now + 4
                asking.say("module.register", {"token": token})
                board.ask()
                if babbler.gone_because is None:
                    babbler.say("hello", {"token": token})
                    babbler.say("module.register", {"token": "x"})
            for name, line in strangers.items():
                if line.gone_because is not None:
                    ended.setdefault(name, now)
            time.sleep(0.1)
        for name, due in (
            ("refused", PAGE_S), ("silent", STRANGER_S), ("babbler", STRANGER_S), ("silent board", STRANGER_S)
        ):  # fmt: skip
            assert name in ended, f"{name} is still there"
            assert due - EARLY_S <= ended[name] <= due + LATE_S, (name, ended[name])
        assert silent_board.close_code == 1008
        # Those who wait and ask, and those who are known, stay.
        assert set(ended) == {"refused", "silent", "babbler", "silent board"}, ended
        world.approve(id)
        world.approve(board.id)
        assert asking.hear("module.register").data["status"] == 2
        board.welcomed()
        assert world.module(known_id)["status"] == "online"
