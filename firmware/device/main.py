"""An example: a thermometer with a lamp. Type 7 takes any reading and the command `set {"values": {..}}`."""

import asyncio

import settings
from passerelle import Passerelle, Rejected

gateway = Passerelle(settings)
lamp = {"on": False}


def temperature():
    """Put the sensor here; on an ESP32 the chip's own will do for a start."""
    try:
        import esp32

        return esp32.mcu_temperature()
    except (ImportError, AttributeError):
        return 21.5


def switch(on):
    """Put the lamp here; many boards have one on GPIO 2."""
    lamp["on"] = on
    try:
        from machine import Pin

        Pin(2, Pin.OUT).value(on)
    except ImportError:
        print("lamp", "on" if on else "off")


@gateway.command("set")
async def set_values(params):
    values = params.get("values", {})
    if not isinstance(values.get("lamp"), bool):
        raise Rejected("only the lamp can be set, to true or false")
    switch(values["lamp"])
    await gateway.telemetry({"lamp": lamp["on"]})
    return {"lamp": lamp["on"]}


@gateway.command("led")
def led(params):
    """The same lamp for type 3 (Light)."""
    switch(bool(params.get("value")))
    return {"on": lamp["on"]}


async def main():
    while True:
        await gateway.telemetry({"temperature": temperature(), "lamp": lamp["on"]})
        await asyncio.sleep(10)


asyncio.run(gateway.run(main()))
