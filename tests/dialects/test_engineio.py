"""The wire under Socket.IO: which versions are spoken, who may connect, and that the client is served."""

import json
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from . import jssocket
from .jssocket import JsSocket, candidates, node
from .talker import Refused
from .world import CLIENTS, World

PLACE = "/socket.io/"


def says_why(text: str) -> bool:
    """A sentence for whoever looks at the client's log."""
    return any(word in text.lower() for word in ("version", "protocol", "engine.io"))


def test_the_official_client_is_served(world: World) -> None:
    reply = httpx.get(world.url + PLACE + "socket.io.js")
    assert reply.status_code == 200
    assert "javascript" in reply.headers["content-type"]
    assert "Socket.IO v4" in reply.text[:200]


@pytest.mark.parametrize(
    "query", ["EIO=3&transport=polling", "EIO=3&transport=polling&t=abc", "transport=polling"]
)
def test_an_older_polling_client_is_told_so(world: World, query: str) -> None:
    reply = httpx.get(f"{world.url}{PLACE}?{query}")
    assert reply.status_code == 400
    assert says_why(reply.text), reply.text


def test_an_older_websocket_client_is_told_so(world: World) -> None:
    """Refused before the upgrade, or closed with a reason."""
    address = world.url.replace("http", "ws", 1) + PLACE + "?EIO=3&transport=websocket"
    try:
        with connect(address, compression=None, proxy=None) as socket:
            try:
                heard = str(socket.recv(timeout=20))
                assert not heard.startswith("0"), "it was let in"
                socket.recv(timeout=20)
            except ConnectionClosed as closed:
                heard = closed.rcvd.reason if closed.rcvd else ""
    except InvalidStatus as refusal:
        assert refusal.response.status_code == 400
        heard = refusal.response.body.decode()
    assert says_why(heard), heard


def test_version_4_is_spoken_as_it_stands(world: World) -> None:
    """Byte by byte: open, connect, event."""
    with httpx.Client(base_url=world.url, timeout=20) as http:
        opened = http.get(PLACE, params={"EIO": "4", "transport": "polling"}).text
        assert opened.startswith("0")
        session = json.loads(opened[1:])
        assert "websocket" in session["upgrades"]
        where = {"EIO": "4", "transport": "polling", "sid": session["sid"]}
        assert http.post(PLACE, params=where, content="40").text.lower() == "ok"
        assert http.get(PLACE, params=where).text.startswith("40{")
        http.post(PLACE, params=where, content='42["module.register",{"token":"x"}]')
        answers = http.get(PLACE, params=where).text
        assert '42["module.register",{"status":0' in answers
        assert '"MODULE_NOT_FOUND"' in answers


def test_only_the_default_namespace_exists(world: World) -> None:
    with pytest.raises(Refused):
        JsSocket(world.url + "/elsewhere").close()


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_page_of_another_site_is_kept_out(world: World, kind: str) -> None:
    person = world.person("olga")
    with pytest.raises(Refused):
        CLIENTS[kind](world.url, headers=person.cookie | {"Origin": "http://evil.example"}).close()
    with pytest.raises(Refused):
        CLIENTS[kind](world.url, headers={"Origin": "http://evil.example"}).close()
    with CLIENTS[kind](world.url, headers=person.cookie | {"Origin": world.url}) as ours:
        ours.say("client:authenticate", {"page": "modules"})
        ours.hear("client:auth:success")


@pytest.mark.parametrize("kind", CLIENTS)
def test_libraries_of_boards_may_send_any_origin_of_their_own(world: World, kind: str) -> None:
    with CLIENTS[kind](world.url, headers={"Origin": "file://"}) as board:
        board.say("module.register", {"token": "x"})
        assert board.hear("module.register").data["status"] == 0


def test_garbage_ends_at_most_the_one_who_sent_it(world: World, keep: Any) -> None:
    bystander = keep(CLIENTS["python"](world.url))
    address = world.url.replace("http", "ws", 1) + PLACE + "?EIO=4&transport=websocket"
    for garbage in ("42", "42[", "42{}", "42[5]", "42[[]]", "429", "45", "9", "", b"\xff\x00", "4" * 70000):
        with connect(address, compression=None, proxy=None) as socket:
            socket.recv(timeout=20)
            socket.send("40")
            socket.recv(timeout=20)
            socket.send(garbage)
    bystander.say("module.register", {"token": "x"})
    assert bystander.hear("module.register").data["status"] == 0


def test_what_is_too_large_is_not_swallowed(world: World, keep: Any) -> None:
    bystander = keep(CLIENTS["js-websocket"](world.url))
    with CLIENTS["python"](world.url) as line:
        line.say("module.register", {"token": "x" * 3_000_000})
        assert line.is_cut_off()
    bystander.say("module.register", {"token": "x"})
    assert bystander.hear("module.register").data["status"] == 0


# The harness itself: these tests are never left out for want of a Node.


@pytest.mark.parametrize("interpreter", sorted(set(candidates())))
def test_the_driver_runs_under_each_node_there_is(world: World, interpreter: str) -> None:
    with JsSocket(world.url, "polling", interpreter=interpreter) as line:
        assert line.transport == "polling"
        line.say("module.register", {"token": "x"})
        assert line.hear("module.register").data["status"] == 0


def test_without_node_on_the_path_one_from_the_virtual_environment_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    node.cache_clear()
    try:
        assert "site-packages" in node()
    finally:
        node.cache_clear()


def test_without_any_node_the_tests_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jssocket, "candidates", lambda: iter(()))
    node.cache_clear()
    try:
        with pytest.raises(AssertionError, match="No Node"):
            node()
    finally:
        node.cache_clear()
