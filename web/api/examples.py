"""Examples of what goes in and out: a model's own where it has one, else made from its schema."""

import json
from typing import Any

# By the model's name; what is not here is made from the schema alone.
_GIVEN: dict[str, Any] = {
    "LogIn": {"username": "ann", "password": "correct horse battery"},
    "CommandIn": {"command": "color", "params": {"red": 255, "green": 120, "blue": 0}, "expires_in": 60},
    "ModulePatch": {"name": "Garland", "location": "Attic"},
    "Rejection": {"reason": "Not one of ours"},
    "DesiredIn": {"version": 0, "values": {"brightness": 80}},
    "JoinIn": {"mode": "window", "seconds": 300, "quota": 20},
    "TypeIn": {
        "code": 120, "name": "Pump", "keys": {"flow": {"kind": "number", "unit": "l/min"}},
        "commands": {"run": {"params": {"seconds": {"kind": "integer", "min": 1}}}},
    },
    "SettingsPatch": {"history.raw_days": 14, "modules.proof": True},
    "AssignmentIn": {"firmware_id": 1},
    "RolloutIn": {
        "name": "Stations to 1.4", "firmware_id": 1, "type": 1, "waves": [{"percent": 10}, {"rest": True}],
    },
    "UserIn": {"username": "lea", "password": "a long sentence of hers", "role": "technician"},
    "UserPatch": {"role": "technician"},
    "ServiceIn": {"name": "home-assistant", "role": "controller"},
    "ClaimIn": {"code": "K7QF-2M9X-4TWD"},
    "MaintenanceIn": {"on": True, "reason": "New switch in the cellar"},
    "ClientPatch": {"owner_id": 1},
    "VendorKeyIn": {"name": "acme", "public_key": "MCowBQYDK2VwAyEA" + "A" * 28},
}  # fmt: skip
# Values of fields by name, in and out.
_FIELDS: dict[str, Any] = {
    "id": "MC-0001-ST", "command": "color", "number": 1, "user": 2, "name": "home-assistant", "code": 120,
    "job": "0123456789abcdef", "created_at": 1763690000000, "since": 1763690000000, "at": 1763690000000,
    "ts": 1763690000000, "key": "temperature", "cursor": "MDAwMDAwMDAwMDQy",
}  # fmt: skip
MAX_DEPTH = 20


def of_model(name: str, schemas: dict[str, Any]) -> Any:
    """An example of a named schema."""
    return _GIVEN.get(name) or made(schemas[name], schemas)


def of_parameter(name: str, schema: dict[str, Any]) -> Any:
    known = _FIELDS.get(name)
    fits = {"integer": int, "string": str}.get(schema.get("type", ""), object)
    return known if isinstance(known, fits) else made(schema, {})


def made(schema: dict[str, Any], schemas: dict[str, Any], depth: int = 0) -> Any:
    """The plainest value that fits."""
    if depth > MAX_DEPTH:
        return None
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return made(schemas[name], schemas, depth + 1)
    for word in ("examples", "enum"):
        if word in schema:
            return schema[word][0]
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    for options in (schema.get("anyOf"), schema.get("oneOf"), schema.get("allOf")):
        if options:
            return made(options[0], schemas, depth + 1)
    return _of_type(schema, schemas, depth)


def _of_type(schema: dict[str, Any], schemas: dict[str, Any], depth: int) -> Any:
    match schema.get("type"):
        case "object":
            parts = schema.get("properties", {}).items()
            return {name: _field(name, part, schemas, depth) for name, part in parts}
        case "array":
            first = schema.get("prefixItems")
            if first:
                return [made(part, schemas, depth + 1) for part in first]
            item = made(schema.get("items", {}), schemas, depth + 1)
            return [] if item is None else [item]
        case "integer" | "number":
            return max(schema.get("minimum", 0), schema.get("exclusiveMinimum", -1) + 1)
        case "boolean":
            return False
        case "string":
            return "text"[: schema.get("maxLength", 4)].ljust(schema.get("minLength", 0), "x")
    return None


def _field(name: str, schema: dict[str, Any], schemas: dict[str, Any], depth: int) -> Any:
    known = _FIELDS.get(name)
    fits = {"integer": int, "string": str}.get(schema.get("type", ""))
    return known if fits and isinstance(known, fits) else made(schema, schemas, depth + 1)


def curl(method: str, url: str, body: Any, *, kind: str, public: bool) -> str:
    """How to call it from a shell."""
    lines = [f"curl -X {method} '{url}'"] if method != "GET" else [f"curl '{url}'"]
    if not public:
        lines.append("-H 'Authorization: Bearer TOKEN'")
    if kind == "multipart/form-data":
        lines += [f"-F '{name}={value}'" for name, value in body.items() if name != "file"]
        lines.append("-F 'file=@image.bin'")
    elif body is not None:
        text = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
        lines += ["-H 'Content-Type: application/json'", f"-d '{text}'"]
    return " \\\n  ".join(lines)
