"""Starts one of two copies of the program, in `a/` or `b/`; a new one is on trial until it has proved itself.

Updates never touch this file, and it stands on nothing they can change. `slots.json` holds all it knows:
`good` (the slot that has proved itself), `images` (what lies in each slot), `trial` (slot, job, starts left)
and `verdict` (a trial that failed and that the gateway has not been told of yet).
"""

import json
import os
import sys

FILE = "slots.json"
STARTS = 3  # of a trial: a power cut must not end it, a program that crashes the board must
RESTART = 3  # the exit code on a PC that asks for a new start
LONGEST_WHY = 200

running = ""  # the slot this program was started from; empty: not started by this file
_state = {"good": "a", "images": {}, "trial": None, "verdict": None}
_feed = None


def start():
    """Choose a slot and run its `main`. Comes back only when a program that is not on trial has ended."""
    global running
    import settings  # the board's own, before a slot can bring another

    _load()
    _judge()
    trial = _state["trial"]
    running = trial["slot"] if trial else _good()
    if trial:
        trial["left"] -= 1
        _save()
        print("slot", running, "is on trial")
        _set_watchdog(getattr(settings, "UPDATE_WATCHDOG_S", 60))
    sys.path.insert(0, running)
    why = "the program has ended"
    try:
        __import__("main")
    except Exception as error:  # whatever it is, the old program must come back
        if not on_trial():
            raise
        why = f"{type(error).__name__}: {error}"
    if on_trial():
        give_up(why)


def _judge():
    """End a trial that is over without anybody having said so."""
    trial = _state["trial"]
    if not trial:
        return
    if trial["left"] < 1:
        _condemn(f"it has not proved itself in {STARTS} starts: it crashes, hangs, or the power fails")
    elif (
        trial["left"] < STARTS and _watchdog_bit()
    ):  # on an RP2 `reset` looks the same, so not the first time
        _condemn("it hung, and the watchdog had to restart the board")


def _good():
    """The slot that has proved itself; where `slots.json` was lost, the one that is there."""
    good = _state["good"]
    return good if good in os.listdir() else "b" if good == "a" else "a"


def on_trial():
    """Whether the program that runs is on trial (one that is to be tried at the next start is not yet)."""
    trial = _state["trial"]
    return trial is not None and trial["slot"] == running


def image():
    """What runs: {"serial", "version", "digest"}; empty for what was not installed by an update."""
    return _state["images"].get(running) or {}


def other():
    """The slot that does not run."""
    return "b" if running == "a" else "a"


def try_next(job, image):
    """The other slot is complete: the next starts are its trial."""
    _state["images"][other()] = image
    _state["trial"] = {"slot": other(), "job": job, "left": STARTS}
    _save()


def keep():
    """The running program has proved itself."""
    global _feed
    _state["good"] = running
    _state["trial"] = None
    _save()
    if _feed is not None:
        _feed(True)


def give_up(why):
    """The running program is no good: start the old one."""
    print("slot", running, "is given up:", why)
    _condemn(why)
    reset()


def _condemn(why):
    trial = _state["trial"]
    _state["verdict"] = {"job": trial["job"], "error": why[:LONGEST_WHY]}
    _state["images"].pop(trial["slot"], None)
    _state["trial"] = None
    _save()


def verdict():
    """A trial that failed, {"job", "error"}, until `told`; or None."""
    return _state["verdict"]


def told():
    _state["verdict"] = None
    _save()


def feed():
    """Tell the watchdog, if one was set, that the program is alive."""
    if _feed is not None:
        _feed(False)


def reset():
    """Start the board anew; a program may put a function of its own in this one's place."""
    try:
        from machine import reset as again
    except ImportError:  # a PC: whoever started us starts us again
        if hasattr(os, "_exit"):
            os._exit(RESTART)
        raise SystemExit(RESTART) from None
    again()


def _load():
    for name in (FILE, FILE + ".new"):
        try:
            with open(name) as file:
                _state.update(json.load(file))
            break
        except (OSError, ValueError):
            continue


def _save():
    """Write beside, then rename: a cut at any moment leaves the old state or the new one."""
    with open(FILE + ".new", "w") as file:
        json.dump(_state, file)
        file.flush()
        if hasattr(os, "fsync"):
            os.fsync(file.fileno())
    try:
        os.rename(FILE + ".new", FILE)
    except OSError:  # FAT does not rename over an existing file
        os.remove(FILE)
        os.rename(FILE + ".new", FILE)


def _watchdog_bit():
    try:
        import machine

        return machine.reset_cause() == machine.WDT_RESET
    except (ImportError, AttributeError):
        return False


def _set_watchdog(timeout_s):
    """From here on a program that does not let `feed` be called is ended. A board cannot stop it again."""
    global _feed
    try:
        from machine import WDT
    except ImportError:
        _feed = _alarm(timeout_s)
        feed()
        return
    for options in ({"timeout": timeout_s * 1000}, {"timeout": 8000}, {}):  # RP2: 8.3 s; ESP8266: its own
        try:
            _feed = _feeding(WDT(**options))
            return
        except (ValueError, TypeError):
            continue


def _feeding(dog):
    return lambda over: dog.feed()


def _alarm(timeout_s):
    """A PC's watchdog: the system ends the process when nobody has put it off in time."""
    try:
        from signal import alarm
    except ImportError:
        try:
            import ffi

            alarm = ffi.open(None).func("I", "alarm", "I")
        except (ImportError, OSError):
            return None
    return lambda over: alarm(0 if over else timeout_s)
