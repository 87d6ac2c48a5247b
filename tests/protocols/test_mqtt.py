"""MQTT as docs/protocols/mqtt.md shows it."""

import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.dialects.mqttsocket import ROOT, MqttSocket
from tests.dialects.pysocket import PySocket
from tests.dialects.talker import PATIENCE_S
from tests.dialects.transports import SILENCE_S
from tests.dialects.world import World
from tests.gateway_process import wait_until

from .matching import ABSENT
from .script import Script

Keep = Callable[[Any], Any]


IMAGE = bytes(i * 7 % 256 for i in range(264))


class Line(MqttSocket):
    """Over MQTT; a text is sent as it is, not as JSON, and retained. Parts of images come as digits."""

    def _message(self, client: Any, userdata: Any, message: Any) -> None:
        if "/chunk/" in message.topic:
            self.note(message.topic.removeprefix(ROOT), message.payload.hex())
        else:
            super()._message(client, userdata, message)

    def say(self, event: str, *args: Any) -> None:
        if args and isinstance(args[0], str):
            self._client.publish(ROOT + event, args[0], 1, True).wait_for_publish(PATIENCE_S)
        else:
            super().say(event, *args)


def test_everything_on_the_page(world: World, keep: Keep) -> None:
    script = Script("mqtt")
    joining(script, world, keep)
    module = approval(script, world, keep)
    readings(script, world, keep, module)
    commands(script, world, keep, module)
    asked(script, world, keep, module)
    updates(script, world, module)
    programs(script, world, keep, module)
    end(script, world, module)
    script.complete()


def apply(script: Script, world: World, keep: Keep, nonce: str, **more: Any) -> Line:
    stranger = keep(Line(world.mqtt_port, nonce=nonce))
    stranger.subscribe(f"register/{nonce}/reply")
    script.say(stranger, "application", "application", f"register/{nonce}", more)
    return stranger


def declared(world: World, serial: str) -> str:
    """Entered beforehand; its shared key."""
    entry = {"serial_number": serial, "type_id": 0}
    answer = httpx.post(world.url + "/devices", json=entry, headers=world.api.headers)
    assert answer.status_code == 201, answer.text
    return answer.json()["shared_key"]


def joining(script: Script, world: World, keep: Keep) -> None:
    key = declared(world, "STRIP-2")
    stranger = apply(script, world, keep, "nonce-1234")
    script.hear(stranger, "applicationReply", "applicationReply pending", "register/nonce-1234/reply")
    stranger = apply(script, world, keep, "nonce-5678", serial="STRIP-2", shared_key=key)
    script.hear(stranger, "applicationReply", "applicationReply approved", "register/nonce-5678/reply")
    world.secrets |= {script.known["<token>"], script.known["<token-2>"]}
    world.call("PUT", "/join", json={"mode": "closed"})
    stranger = apply(script, world, keep, "nonce-9012", serial="STRIP-3")
    script.hear(stranger, "applicationReply", "applicationReply closed", "register/nonce-9012/reply")
    world.call("PUT", "/join", json={"mode": "open"})


def approval(script: Script, world: World, keep: Keep) -> Line:
    module = keep(Line(world.mqtt_port, "STRIP-1", script.known["<token>"]))
    module.subscribe("STRIP-1/down/registered")
    script.say(module, "upRegister", "hello", "STRIP-1/up/register")
    time.sleep(SILENCE_S)
    assert module.names() == set()
    world.approve("STRIP-1")
    script.hear(module, "downRegistered", "registered online", "STRIP-1/down/registered")
    module.subscribe("STRIP-1/down/#")
    return module


def readings(script: Script, world: World, keep: Keep, module: Line) -> None:
    reader = keep(Line(world.mqtt_port, *world.service("reader"), will=False))
    reader.subscribe("STRIP-1/out/#")
    script.say(module, "upAvailability", "availability asleep", "STRIP-1/up/availability")
    assert world.becomes("STRIP-1", "sleeping")
    script.say(module, "upAvailability", "availability word", "STRIP-1/up/availability")
    assert world.becomes("STRIP-1", "online")
    script.hear(reader, "outAvailability", "outAvailability", "STRIP-1/out/availability")
    script.say(module, "upTelemetry", "reading values", "STRIP-1/up/telemetry")
    script.hear(reader, "outState", "state", "STRIP-1/out/state")
    for name in ("reading late", "reading batch"):
        script.say(module, "upTelemetry", name, "STRIP-1/up/telemetry")
    history = world.call("GET", "/modules/STRIP-1/telemetry", params={"key": "brightness", "from": 0})
    assert sorted(item["value"] for item in history["items"]) == [10, 20, 64, 128]
    script.say(module, "upEvent", "moduleEvent", "STRIP-1/up/event/color")
    script.hear(reader, "outEvent", "moduleEvent", "STRIP-1/out/event/color")
    world.call("PUT", "/modules/STRIP-1/desired", json={"version": 0, "values": {"interval": 30}})
    script.hear(module, "downDesired", "desired", "STRIP-1/down/desired")
    script.say(module, "upReported", "reported", "STRIP-1/up/reported")
    assert world.module("STRIP-1")["reported"] == {"interval": 30}


def commands(script: Script, world: World, keep: Keep, module: Line) -> None:
    for end in ("done", "failed"):
        script.forget("command")
        color = world.command("STRIP-1", "color", red=255, green=120, blue=0)
        told = script.hear(module, "downCommand", "command setting", "STRIP-1/down/command")
        assert told["id"] == color
        script.say(module, "upReply", "commandReply accepted", "STRIP-1/up/reply")
        world.command_is("STRIP-1", color, "accepted")
        script.say(module, "upReply", f"commandReply {end}", "STRIP-1/up/reply")
        world.command_is("STRIP-1", color, end)
    track, token = world.approved("TRACK-1", type=4)
    launch = keep(Line(world.mqtt_port, track, token))
    launch.subscribe("TRACK-1/down/command")
    script.forget("command")
    world.command(track, "forward", speed=3, duration=2)
    script.hear(launch, "downCommand", "command action", "TRACK-1/down/command")


def asked(script: Script, world: World, keep: Keep, module: Line) -> None:
    script.forget("command")
    controller = keep(Line(world.mqtt_port, *world.service("controller"), will=False))
    controller.subscribe("+/ask/+/reply")
    script.say(controller, "ask", "ask", "STRIP-1/ask/color")
    script.hear(controller, "askReply", "askReply taken", "STRIP-1/ask/color/reply")
    script.hear(module, "downCommand", "command setting", "STRIP-1/down/command")
    script.say(module, "upReply", "commandReply done", "STRIP-1/up/reply")
    script.hear(controller, "askReply", "askReply ended", "STRIP-1/ask/color/reply")
    script.say(controller, "ask", "ask", "STRIP-1/ask/explode")
    script.hear(controller, "askReply", "askReply refused", "STRIP-1/ask/explode/reply")


def updates(script: Script, world: World, module: Line) -> None:
    """Fails, is taken back, is assigned anew and rolled back."""
    fields = {"serial": "strip-1.5.0", "version": "1.5.0", "type": "0", "hardware": "esp32-s3"}
    image = world.call("POST", "/firmware", 201, data=fields, files={"file": ("strip.bin", IMAGE)})

    def says(name: str) -> None:
        script.say(module, "upFirmware", name, "STRIP-1/up/firmware")

    def offered(name: str) -> str:
        for what in ("job", "hmac"):
            script.forget(what)
        wish = {"firmware_id": image["id"]}
        job = world.call("PUT", "/modules/STRIP-1/firmware", json=wish)["job"]
        told = script.hear(module, "downFirmware", name, "STRIP-1/down/firmware", ("url", "issued"))
        assert told["job"] == job["id"]
        return job["id"]

    def becomes(job: str, state: str) -> None:
        wait_until(lambda: world.call("GET", f"/firmware/jobs/{job}")["state"] == state, state, PATIENCE_S)

    job = offered("offer first")
    says("updateWord first")
    script.say(module, "upChunk", "chunkRequest", "STRIP-1/up/chunk")
    script.hear(module, "downChunk", "chunk", f"STRIP-1/down/chunk/{job}/256")
    for word in ("progress", "downloaded", "verified", "installing"):
        says(f"updateWord {word}")
    becomes(job, "installing")
    says("updateWord failed")
    becomes(job, "assigned")
    world.call("POST", f"/firmware/jobs/{job}/cancel")
    script.hear(module, "downFirmware", "abort", "STRIP-1/down/firmware")
    job = offered("offer later")
    says("updateWord rolledBack")
    becomes(job, "rolled_back")


def programs(script: Script, world: World, keep: Keep, module: Line) -> None:
    """The module and a program on Socket.IO; over MQTT rows of a queue have no older names."""

    def says(name: str, /, **values: Any) -> None:
        script.say(module, "upInstance", name, "STRIP-1/up/instance", **values)

    def hears(name: str, /, **values: Any) -> Any:
        return script.hear(module, "downInstance", name, "STRIP-1/down/instance", **values)["parameters"]

    program, number = a_program(world, keep)
    me = {"name": "Strip", "location": "Hall"}
    says("login")
    hears("logged empty", information=me)
    says("nodeForward", recipient=number)
    hears("forwarded", recipient=number)
    tell(program, "forward", recipient="STRIP-1", parameters={"ask": "level"})
    hears("deliveredToNode", sender=number)
    says("nodeQueue", recipient=number)
    hears("queued", recipient=number)
    tell(program, "queue", recipient="STRIP-1", parameters={"ask": "level"})
    hears("updateQueue more", sender=number, content=ABSENT)
    module.say("STRIP-1/up/register")
    (row,) = hears("logged waiting", information=me, sender=number, content=ABSENT)["queue"]
    says("processQueue", queue_id=row["queue_id"])
    hears("updateQueue rest")
    says("processQueue", queue_id=row["queue_id"])
    hears("failed")
    says("update")
    hears("updated")


def a_program(world: World, keep: Keep) -> tuple[PySocket, int]:
    """Registered and logged in; its number."""
    program = keep(PySocket(world.url))
    tell(program, "register", information={"name": "Wall panel"})
    known = program.hear("instance.to.client").data["parameters"]
    world.secrets.add(known["token"])
    tell(program, "login", token=known["token"])
    program.hear("instance.to.client", where=lambda told: told["action"] == "logged")
    return program, known["id"]


def tell(program: PySocket, action: str, /, **parameters: Any) -> None:
    program.say("client.to.instance", {"action": action, "parameters": parameters})


def end(script: Script, world: World, module: Line) -> None:
    world.call("POST", "/modules/STRIP-1/revoke")
    script.hear(module, "downRegistered", "registered revoked", "STRIP-1/down/registered")
    module.is_cut_off()
