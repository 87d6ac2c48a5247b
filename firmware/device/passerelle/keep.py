"""Small values that outlive a power cut, one JSON file each."""

import json
import os


def load(name, default):
    """The value kept under this name. A cut between the two steps of `save` left it in the `.new` file."""
    for candidate in (name, name + ".new"):
        try:
            with open(candidate) as file:
                return json.load(file)
        except (OSError, ValueError):
            continue
    return default


def save(name, value):
    """Write beside, then rename: a cut at any moment leaves the old value or the new one, never a half."""
    with open(name + ".new", "w") as file:
        json.dump(value, file)
        file.flush()
        if hasattr(os, "fsync"):  # a board's file system writes through when the file is closed
            os.fsync(file.fileno())
    try:
        os.rename(name + ".new", name)
    except OSError:  # FAT does not rename over an existing file
        os.remove(name)
        os.rename(name + ".new", name)
