"""The gateway's topics as a device sees them. A test compares them with the gateway's own."""

import json

UP_REGISTER = "up/register"
UP_AVAILABILITY = "up/availability"
UP_TELEMETRY = "up/telemetry"
UP_REPLY = "up/reply"
UP_EVENT = "up/event/"  # + the event's name
UP_FIRMWARE = "up/firmware"
UP_CHUNK = "up/chunk"
UP_LOG = "up/log/"  # + debug, info, warn or error

DOWN_ALL = "down/#"
DOWN_REGISTERED = "down/registered"
DOWN_COMMAND = "down/command"
DOWN_FIRMWARE = "down/firmware"
DOWN_CHUNK = "down/chunk/"  # + the job, / and the offset


def enrolment(root, nonce):
    return f"{root}/register/{nonce}"


def enrolment_reply(root, nonce):
    return f"{root}/register/{nonce}/reply"


def of(root, module_id, words):
    """A module's own topic: `of("gw/1", "MC-1", UP_REPLY)`."""
    return f"{root}/{module_id}/{words}"


def said(payload):
    """What the gateway says on a topic: a JSON object; an empty one when it is anything else."""
    try:
        body = json.loads(payload)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
