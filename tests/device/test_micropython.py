"""How MicroPython is had: from the machine's own Debian mirror, another suite."""

import subprocess
from pathlib import Path

import pytest

from . import micropython
from .micropython import Source, Unobtainable, archive, sources

MODERN = """\
# made by an installer
Types: deb deb-src
# a comment between the fields
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/house.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb-src
URIs: http://mirror.example/sources
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://mirror.example/old
Suites: bookworm
Components: main
"""
CLASSIC = """\
# deb http://mirror.example/commented bookworm main
deb-src http://mirror.example/sources bookworm main
deb http://mirror.example/security bookworm-security main
deb [arch=arm64 signed-by=/usr/share/house.gpg] http://mirror.example/debian bookworm main contrib # no
"""


def etc(folder: Path, id: str = "debian", **files: str) -> Path:
    (folder / "apt" / "sources.list.d").mkdir(parents=True)
    (folder / "os-release").write_text(f'ID={id}\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n')
    for name, text in files.items():
        (folder / "apt" / name.replace("__", "/").replace("_", ".")).write_text(text)
    return folder


@pytest.mark.parametrize("form", [{"sources_list": CLASSIC}, {"sources_list_d__debian_sources": MODERN}])
def test_the_main_archive_is_found_in_both_formats(tmp_path: Path, form: dict[str, str]) -> None:
    found = archive(etc(tmp_path, **form))
    assert (found.uri, found.components) == ("http://mirror.example/debian", ("main", "contrib"))
    line = "deb [signed-by=/usr/share/house.gpg] http://mirror.example/debian trixie main contrib\n"
    assert found.line("trixie") == line


def test_commented_disabled_and_source_archives_are_left_out(tmp_path: Path) -> None:
    known = list(sources(etc(tmp_path, sources_list=CLASSIC, sources_list_d__debian_sources=MODERN)))
    names = [source.uri.rpartition("/")[2] for source in known]
    assert names == ["security", "debian", "debian", "debian-security"]


def test_without_a_source_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Unobtainable, match="no source for the suite 'bookworm'"):
        archive(etc(tmp_path))


def test_on_another_system_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unobtainable, match="this is not Debian"):
        archive(etc(tmp_path, id="fedora", sources_list=CLASSIC))


def test_a_mirror_that_does_not_answer_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = Source(f"file:{tmp_path}/nowhere", ("bookworm",), ("main",))
    monkeypatch.setattr(micropython, "archive", lambda: nowhere)
    with pytest.raises(Unobtainable, match="cannot be fetched from trixie: apt-get says"):
        micropython.command(tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []


def test_it_is_the_version_that_the_client_is_tested_with() -> None:
    words = [*micropython.command(), "-c", "import sys; print(sys.implementation[:2])"]
    assert subprocess.run(words, capture_output=True, text=True).stdout.startswith("('micropython', (1, 25")
