"""`passerelle firmware bundle`, as somebody types it."""

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from firmware.headers import read_header

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "gateway", "firmware", "bundle"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app" / "lib").mkdir(parents=True)
    (tmp_path / "app" / "main.py").write_text("import lib.a\n")
    (tmp_path / "app" / "lib" / "a.py").write_text("")
    return tmp_path / "app"


def bundle(*words):
    return subprocess.run([*COMMAND, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_folder_becomes_a_bundle(folder, tmp_path):
    out = tmp_path / "app.tar"
    done = bundle(folder, out, "--name", "probe", "--version", "1.2", "--json")
    assert done.returncode == 0, done.stderr
    data = out.read_bytes()
    digest = f"sha256:{sha256(data).hexdigest()}"
    assert json.loads(done.stdout) == {"file": str(out), "size": len(data), "digest": digest}
    header = read_header(out)
    assert (header.kind, header.project, header.version) == ("micropython", "probe", "1.2")


def test_what_cannot_be_a_bundle_is_said_in_a_sentence(folder, tmp_path):
    out = tmp_path / "app.tar"
    (folder / "main.py").unlink()
    done = bundle(folder, out, "--name", "probe", "--version", "1.2")
    assert done.returncode == 1 and "main.py" in done.stderr and "Traceback" not in done.stderr
    done = bundle(folder / "nowhere", out, "--name", "probe", "--version", "1.2")
    assert done.returncode == 1 and "no folder" in done.stderr
    (folder / "main.py").write_text("")
    done = bundle(folder, tmp_path / "nowhere" / "app.tar", "--name", "probe", "--version", "1.2")
    assert done.returncode == 1 and "cannot be" in done.stderr and "Traceback" not in done.stderr
    assert not out.exists()
