"""The device's side of a Passerelle gateway: enrols, keeps its token, stays connected, obeys.

The same source runs on MicroPython (1.22 or later) and on CPython.
"""

from .client import Passerelle
from .commands import Rejected

__all__ = ("Passerelle", "Rejected")
