"""Programs for boards under test."""

# Sends 1, 2, 3 .. as `count`, one every PAUSE seconds.
PROGRAM = """
import asyncio
import settings
from passerelle import Passerelle, Rejected

gateway = Passerelle(settings)

@gateway.command("led")
async def led(params):
    print("led runs")
    await asyncio.sleep(params.get("takes", 0))
    return {"pin": params.get("pin")}

@gateway.command("break")
def break_(params):
    raise ValueError("no such thing")

@gateway.command("refuse")
def refuse(params):
    raise Rejected("not at night")

async def main():
    count = 0
    while True:
        count += 1
        await gateway.telemetry({"count": count, "bad": float("nan")})
        await asyncio.sleep(PAUSE)

asyncio.run(gateway.run(main()))
"""
