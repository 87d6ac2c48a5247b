"""`passerelle audit verify`: a sentence or JSON, and status 1 when something is wrong."""

import json
import os
import subprocess
import sys

from tests.gateway.core.heart import PASSWORD


def passerelle(folder, *words, stdin=""):
    return subprocess.run(
        [sys.executable, "-m", "gateway", *words], input=stdin, capture_output=True, text=True, cwd=folder,
        env={**os.environ, "PASSERELLE_DATA": str(folder / "data"), "PASSERELLE_SECRET_KEY": "k" * 40},
        timeout=120,
    )  # fmt: skip


def test_what_it_says_and_with_which_status(tmp_path):
    add = ("user", "add", "ann", "--role", "admin", "--password-stdin")
    assert passerelle(tmp_path, *add, stdin=PASSWORD).returncode == 0
    well = passerelle(tmp_path, "audit", "verify")
    assert (well.returncode, "The audit trail is whole" in well.stdout) == (0, True)
    told = json.loads(passerelle(tmp_path, "audit", "verify", "--json").stdout)
    assert (told["whole"], told["fault"], told["broken_at"]) == (True, "", None)
    (tmp_path / "data" / "audit.anchor").unlink()
    ill = passerelle(tmp_path, "audit", "verify", "--json")
    assert (ill.returncode, json.loads(ill.stdout)["fault"]) == (1, "anchor_missing")
    accepted = passerelle(tmp_path, "audit", "verify", "--accept")
    assert (accepted.returncode, "whole" in accepted.stdout) == (0, True)
    assert passerelle(tmp_path, "audit", "verify").returncode == 0
