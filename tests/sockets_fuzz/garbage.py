"""What no client should ever send: packets, events and values."""

import json

CANARY = "canary-guess-of-a-token-"
DEEP = "[" * 20_000 + "]" * 20_000
SMALL_DEEP = {"a": {"a": {"a": {"a": {"a": {"a": [[[[1]]]]}}}}}}

# Whole packets of Engine.IO. Those that end the socket may; nobody else may notice.
PACKETS = [
    "", "4", "4x", "48", "49", "4-1", "4/", "4/x,", "42", "42{}", "42[]", "42null", "42[1]", "42[null]",
    "42true", '42["connect"]', '42["disconnect"]', '42["disconnect","/","x"]', '42["*"]', '42["*","*","*"]',
    '42["connect_error",1]', '42["message","x"]', '42[["a"]]', '42[{"a":1}]', '42[""]',
    '42["module.register"', '42["module.register",NaN]', '42["module.register",-Infinity]',
    '42["module.register",1e999]', '42["module.register",{"token":"\\ud800"}]',
    '42["module.register",{"token":"\\u0000"}]', '42["module.register",' + "9" * 5000 + "]",
    '42["module.register",' + DEEP + "]", "42" + DEEP, "40" + DEEP, '42["' + "n" * 200_000 + '"]',
    '42["module.' + "n" * 200_000 + '",{}]', '42["module.7.' + "é" * 999 + '"]', "40", "40{", "40[]",
    "40null", '40{"token":[]}', '40{"token":{"a":1}}', '40{"token":null}', '40{"token":""}',
    '40{"token":"' + CANARY + '"}', '40{"token":"a.b.c"}', '40{"token":"' + "e" * 9000 + '"}', '40"x"',
    "405", "40/admin,", "40/admin,{}", "40/*,", "40/../,", "40/\x00,", "40/?token=" + CANARY + ",",
    "40/" + "n" * 5000, '42/admin,["x"]', '42/,["client:authenticate"]', "41/admin,", "41{}", "43", "430[]",
    "431[1]", '43"x"', "43{}", "43999999999999999999[1]", "431" + DEEP, "44", '44{"message":"x"}', "45",
    '450-["x"]', '451-["x"]', "451-", "45-1-[]", '4599999999999-["x"]', "459999999999-[]", '46["x"]',
    '461-["x"]', "461-1[]", "42" + "9" * 101 + "[]", '42' + "9" * 99 + '["x"]', '42-1["x"]', "0", "0{}",
    "2", "2probe", "3", "333", "5", "6", "7", "9", "x", "\x00", "🦀", " 42[]", '42["x"]\n', '42 ["x"]', "b",
    "bAAAA", "b%%%", "b" + "A" * 1001, "\x1e" * 30, "42[]\x1e42[]", "d=42[]",
]  # fmt: skip
BINARY = [
    ('451-["x",{"_placeholder":true,"num":0}]', b"abc"),
    ('451-["module.7.x",{"a":{"_placeholder":true,"num":0}}]', b"\xff" * 100),
    ('451-["module.7.telemetry",{"_placeholder":true,"num":0}]', b"{}"),
    ('451-["module.register",{"token":{"_placeholder":true,"num":0}}]', b"x" * 43),
    (
        '451-["client.to.instance",{"action":"login","parameters":{"token":{"_placeholder":true,"num":0}}}]',
        b"x",
    ),
    (
        '451-["send_module_command",{"moduleId":"M","command":"set","params":{"_placeholder":true,"num":0}}]',
        b"x",
    ),
    ('451-["x",{"_placeholder":true,"num":7}]', b"abc"),
    ('451-["x",{"_placeholder":true,"num":-1}]', b"abc"),
    ('451-["x",{"_placeholder":true,"num":"0"}]', b"abc"),
    ('451-["x",{"_placeholder":true}]', b""),
    ('451-[{"_placeholder":true,"num":0}]', b"connect"),
    ('452-["x"]', b"abc"),
    ("42", b"abc"),
    ('461-7[{"_placeholder":true,"num":0}]', b"abc"),
    ('451-["x",{"_placeholder":true,"num":0}]', '42["x"]'),
]

VALUES = [
    None, True, False, 0, -1, 1, 0.5, 1e308, 2**63, -(2**80), "", "x", "\x00", "\r\n\x1b[31mred", "<b>", "0",
    "1", "M", "\U0001f980" * 500, "n" * 70_000, [], [[]], [None], ["x"], {}, {"a": {}}, {"": ""},
    SMALL_DEEP, {"__proto__": 1}, {"moduleId": "M"}, {"values": {"x": float(2**70)}}, {"number": 0},
]  # fmt: skip
EVENTS = (
    "client:authenticate", "register_page", "client:page:changed", "client:sync:request", "modules:watch",
    "send_module_command", "module_command", "request_module_states", "request_stats", "module.register",
    "module.connect", "module.", "module.7.", "module.7.telemetry", "module.7.rang", "module.0.color",
    "module.-1.x", "module.7.a.b", "module.7.\x00", "module.error", "client.to.instance", "node.to.instance",
    "instance.to.client", "system:alert", "admin:stats:updated", "modules:changes", "",
)  # fmt: skip
ACTIONS = (
    "register", "login", "update", "updateNodeList", "forward", "queue", "processQueue", "telemetry", "event",
    "reply", "command", "logged", "", "constructor",
)  # fmt: skip


def shapes(value):
    """Objects that nearly look like what is expected, with this value in each place in turn."""
    yield "client:authenticate", {"userId": value, "userType": "user", "page": "modules"}
    yield "client:authenticate", {"userId": None, "userType": value, "page": value, "sessionId": value}
    yield "modules:watch", {"ids": value, "since": value}
    yield "modules:watch", {"ids": [value, value]}
    yield "send_module_command", {"moduleId": value, "command": "set", "params": {}}
    yield "send_module_command", {"moduleId": "VICTIM", "command": value, "params": {"values": {}}}
    yield "send_module_command", {"moduleId": "VICTIM", "command": "set", "params": value}
    yield "module_command", {"moduleId": "VICTIM", "command": "set", "params": {"values": value, "x": value}}
    yield "module.register", {"token": value}
    yield "module.connect", {"token": value, "id": "VICTIM"}
    yield "module.7.telemetry", {"values": value, "ts": value}
    yield "module.7.telemetry", [value, {"a": value}]
    for up in ("client.to.instance", "node.to.instance"):
        yield up, {"action": value, "parameters": value}
        yield up, {"action": "login", "token": value, "authentication": value}
        yield up, {"action": "login", "parameters": {"token": value, "Token": CANARY}}
        yield up, {"action": "register", "parameters": {"information": value, "type": value}}
        yield up, {"action": "register", "parameters": {"information": {"name": value, "serial": value}}}
        for action in ACTIONS:
            yield up, {"action": action, "parameters": value}
            inside = {"recipient": value, "parameters": value, "queue_id": value, "information": value}
            yield up, {"action": action, "parameters": inside | {"name": value, "data": value, "id": value}}
            yield up, {"action": action, "recipient": value, "sender": 1, "parameters": {"x": value}}


def everything():
    """Every event with every value alone, then the shapes, as packets."""
    for event in EVENTS:
        yield "42" + json.dumps([event])
        yield "42" + json.dumps([event, {}, {}, 1])
        for value in VALUES:
            yield "42" + json.dumps([event, value])
    for value in VALUES:
        for event, data in shapes(value):
            yield "42" + json.dumps([event, data])
    for event in ("module.register", "module.connect"):
        yield "42" + json.dumps([event, {"token": CANARY}])
    for up in ("client.to.instance", "node.to.instance"):
        yield "42" + json.dumps([up, {"action": "login", "parameters": {"token": CANARY}}])


# On `/esp32`; what ends the socket may.
FRAMES = [
    "{",
    "[]",
    "null",
    '{"type":null}',
    '{"type":[]}',
    '{"type":"telemetry","a":NaN}',
    DEEP,
    b"{}",
    "",
] + [
    json.dumps(frame)
    for value in VALUES
    for frame in (
        {"type": value},
        {"type": "module_identify", "moduleId": value, "password": CANARY, "moduleType": value},
        {"type": "module_identify", "moduleId": "VICTIM", "password": value},
        {"type": "telemetry", "moduleId": "VICTIM", "telemetry": value, "data": value},
        {"type": "command_response", "command": value, "status": value, "id": value},
    )
]
