"""What a simulated device measures: plausible, slowly moving, and what its commands change."""

from collections.abc import Mapping
from typing import Any

from gateway.core.types import Field, ModuleType
from gateway.simulator.dice import Dice

# Where a value usually lies, by device class or key; else around the middle of what is declared.
USUAL: dict[str, tuple[float, float]] = {
    "temperature": (14.0, 26.0),
    "humidity": (35.0, 70.0),
    "atmospheric_pressure": (995.0, 1030.0),
    "wind_speed": (0.0, 12.0),
    "wind_direction": (0.0, 360.0),
    "precipitation": (0.0, 8.0),
    "illuminance": (0.0, 20_000.0),
    "battery": (55.0, 100.0),
    "brightness": (20.0, 235.0),
    "speed": (0.0, 80.0),
    "duration": (0.0, 10.0),
    "volume": (20.0, 80.0),
}
# Of keys that may be anything: what they say in turn.
WORDS: dict[str, tuple[Any, ...]] = {
    "gates": ("closed", "open"),
    "harness": ("locked", "unlocked"),
    "nsf": (False, True),
    "position": ("left", "right"),
    "dir": ("forward", "backward"),
    "playlist": (["welcome.mp3", "launch.mp3", "goodbye.mp3"],),
    "current": (0, 1, 2),
    "currentFile": ("welcome.mp3", "launch.mp3", "goodbye.mp3"),
}
# An open type declares no keys; its devices report these.
OPEN_KEYS = {
    "temperature": Field(kind="number", unit="°C", device_class="temperature"),
    "humidity": Field(kind="number", unit="%", min=0, max=100, device_class="humidity"),
    "door": Field(kind="boolean"),
}
# What a command does to the readings, beyond parameters that are called like a reading.
EFFECTS: dict[str, dict[str, Any]] = {
    "gates_open": {"gates": "open"},
    "gates_close": {"gates": "closed"},
    "harness_lock": {"harness": "locked"},
    "harness_unlock": {"harness": "unlocked"},
    "dispatch": {"inDispatch": True, "gates": "closed", "harness": "locked"},
    "start": {"estop": False},
    "estop": {"estop": True, "inDispatch": False},
    "left": {"position": "left"},
    "right": {"position": "right"},
    "switch_left": {"position": "left"},
    "switch_right": {"position": "right"},
    "color": {"on": True},
    "forward": {"dir": "forward", "running": True},
    "backward": {"dir": "backward", "running": True},
    "smoke_start": {"running": True},
    "audio_play": {"isPlaying": True, "isPaused": False},
    "play": {"isPlaying": True, "isPaused": False},
    "audio_pause": {"isPaused": True},
    "audio_stop": {"isPlaying": False, "isPaused": False},
}
# Parameters that set a reading of another name.
MEANS = {
    ("speed", "value"): "speed",
    ("audio_volume", "level"): "volume",
    ("audio_play", "filename"): "currentFile",
    ("play", "track"): "current",
    ("led", "value"): "on",
}

# Chances at each reading, and parts of the span of a number.
FLIP, NEXT_WORD = 0.01, 0.02
STEP, PULL = 0.008, 0.004
# What only a command changes; what is true from the start.
ONLY_TOLD = frozenset({"estop"})
TRUE_AT_FIRST = frozenset({"on", "ready"})
GROWING = "uptime"


class Readings:
    """One device's values. `after` goes on by so many seconds; nothing but the dice decides how."""

    def __init__(self, type: ModuleType, dice: Dice) -> None:
        self._keys = type.keys or (OPEN_KEYS if type.open else {})
        self._open = type.open
        self._dice = dice
        self._values: dict[str, Any] = {key: self._first(key, field) for key, field in self._keys.items()}

    def after(self, seconds: float) -> dict[str, Any]:
        """All values, a while later."""
        for key, field in self._keys.items():
            self._values[key] = self._following(key, field, seconds)
        return self.now()

    def now(self) -> dict[str, Any]:
        return {key: round(v, 2) if type(v) is float else v for key, v in self._values.items()}

    def command(self, name: str, params: Mapping[str, Any]) -> None:
        """What a command changes; a change stays until chance moves it on."""
        changes = EFFECTS.get(name, {}) | {MEANS.get((name, key), key): v for key, v in params.items()}
        self.set({key: value for key, value in changes.items() if key in self._keys})
        if self._open and isinstance(values := params.get("values"), dict):
            self.set(values)

    def set(self, values: Mapping[str, Any]) -> None:
        """Take values that fit; an open type takes any of its keys."""
        for key, value in values.items():
            field = self._keys.get(key)
            if field is not None and field.fault(value) is None:
                self._values[key] = value

    def _first(self, key: str, field: Field) -> Any:
        if field.kind in ("number", "integer"):
            return 0.0 if key == GROWING else self._dice.between(*usual(key, field))
        return key in TRUE_AT_FIRST if field.kind == "boolean" else words(key)[0]

    def _following(self, key: str, field: Field, seconds: float) -> Any:
        value = self._values[key]
        if key == GROWING:
            return value + seconds
        if field.kind in ("number", "integer"):
            moved = self._moved(float(value), *usual(key, field))
            return round(moved) if field.kind == "integer" else moved
        if field.kind == "boolean":
            return value is not (key not in ONLY_TOLD and self._dice.chance(FLIP))
        return self._dice.one_of(words(key)) if self._dice.chance(NEXT_WORD) else value

    def _moved(self, value: float, low: float, high: float) -> float:
        """A step of a walk that is drawn back to the middle, within bounds."""
        span, middle = high - low, (low + high) / 2
        value += (middle - value) * PULL + self._dice.between(-STEP, STEP) * span
        return min(max(value, low), high)


def usual(key: str, field: Field) -> tuple[float, float]:
    """The bounds in which a number moves; always within the declared ones."""
    low, high = USUAL.get(field.device_class) or USUAL.get(key) or _middle(field)
    if field.min is not None:
        low, high = max(low, field.min), max(high, field.min)
    if field.max is not None:
        low, high = min(low, field.max), min(high, field.max)
    return low, high


def _middle(field: Field) -> tuple[float, float]:
    low = field.min if field.min is not None else 0.0
    high = field.max if field.max is not None else low + 100.0
    return low + (high - low) / 4, high - (high - low) / 4


def words(key: str) -> tuple[Any, ...]:
    return WORDS.get(key, ("ready", "busy"))
