"""What differs between boards, MicroPython on a PC, and CPython: clock, Wi-Fi, own number, encryption."""

import asyncio
import os
import sys
import time

from . import keep

try:
    import network
except ImportError:  # a PC: the network is there
    network = None

try:
    import slots
except ImportError:  # one program in one place: it cannot be updated from afar
    slots = None

try:
    from time import ticks_diff, ticks_ms
except ImportError:  # CPython

    def ticks_ms():
        return time.monotonic_ns() // 1000000

    def ticks_diff(later, earlier):
        return later - earlier


WIFI_TIMEOUT_S = 20
SERIAL_FILE = "serial.json"
_EPOCH_2000_MS = 946684800000
_LONG_AGO_MS = 1735689600000  # 2025-01-01: a board without a set clock believes to be in 2000 or 2021


def utc_ms():
    """Now, or None when this board does not know what time it is."""
    now_ms = time.time_ns() // 1000000
    if time.gmtime(0)[0] == 2000:  # where MicroPython counts from depends on the port
        now_ms += _EPOCH_2000_MS
    return now_ms if now_ms > _LONG_AGO_MS else None


def random_hex(size):
    return "".join(f"{byte:02x}" for byte in os.urandom(size))


def serial():
    """The chip's own number; a random one that is kept where there is no chip to ask."""
    try:
        from machine import unique_id

        return "MP-" + "".join(f"{byte:02X}" for byte in unique_id())
    except ImportError:
        kept = keep.load(SERIAL_FILE, "") or "PC-" + random_hex(6).upper()
        keep.save(SERIAL_FILE, kept)
        return kept


async def join_wifi(ssid, password):
    """Return once there is a network; OSError when there is none. Does nothing where Wi-Fi is not ours."""
    if network is None or not ssid:
        return
    # An ESP8266 out of the box opens an access point of its own, with a password everybody knows.
    network.WLAN(network.AP_IF).active(False)
    wlan = network.WLAN(network.STA_IF)
    if not wlan.isconnected():
        wlan.active(True)
        wlan.disconnect()  # an ESP32 that is still trying refuses to start anew
        wlan.connect(ssid, password)
        for _ in range(WIFI_TIMEOUT_S * 10):
            if wlan.isconnected():
                break
            await asyncio.sleep(0.1)
        else:
            raise OSError("no Wi-Fi")
    if utc_ms() is None:
        _ask_for_the_time()


def _ask_for_the_time():
    """Without the time all works, but late readings carry no time of their own and TLS cannot check dates."""
    try:
        import ntptime

        ntptime.settime()
    except (ImportError, OSError):
        return


def encryption(ca_file):
    """A TLS context that trusts only this authority's certificates; without one it trusts whoever answers."""
    authority = None
    if ca_file:
        with open(ca_file, "rb") as file:
            authority = file.read()
    try:
        import tls
    except ImportError:
        return _encryption_of_a_pc(authority)
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_NONE
    if authority:
        context.load_verify_locations(authority)
        context.verify_mode = tls.CERT_REQUIRED
    return context


def _encryption_of_a_pc(authority):
    import ssl

    context = ssl.create_default_context(cadata=authority)
    if not authority:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def two_slots():
    """What started us from one of two slots, or None."""
    return slots if slots is not None and slots.running else None


def firmware(settings):
    """What runs here, for the gateway: of an image that came as an update all is known."""
    known = two_slots().image() if two_slots() else {}
    return known or ({"serial": settings.FIRMWARE} if settings.FIRMWARE else {})


def hardware(settings):
    """What this runs on, such as `esp32` or `linux`. (A settings file may be older than this library.)"""
    return getattr(settings, "HARDWARE", "") or sys.platform
