"""Fetches MicroPython's unix port from Debian's next release and says how to start it.

The machine's own release may have no `micropython` package, or an older one. So the packages of the release
below are downloaded with the machine's own apt (its mirror, its keys, its proxy; only the suite is changed),
unpacked into a cache folder and started through that folder's dynamic loader. Nothing is installed, and no
rights are needed beyond writing the cache folder.

`python tests/device/micropython.py` fetches it and prints the words that start it.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUITE = "trixie"
PACKAGES = ("micropython", "libc6", "libffi8", "libmbedcrypto16", "libmbedtls21", "libmbedx509-7")
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "micropython"
DONE = "unpacked"
APT_TIMEOUT_S = 300
NOT_FETCHED = "MicroPython cannot be fetched"


class Unobtainable(Exception):
    """MicroPython cannot be had here; the message is a sentence that says what is missing."""


@dataclass(frozen=True)
class Source:
    """One archive apt is configured with: where it is and how it is trusted."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""

    def line(self, suite: str) -> str:
        options = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb {options}{self.uri} {suite} {' '.join(self.components)}\n"


def command(cache: Path = CACHE) -> list[str]:
    """The words that start MicroPython 1.25 or later, fetching it first when the cache does not hold it."""
    if not (cache / DONE).exists():
        _fetch(cache)
    libraries = sorted({str(path.parent) for path in (cache / "root").rglob("lib*.so.*")})
    return [str(_loader(cache)), "--library-path", ":".join(libraries), str(_interpreter(cache))]


def _loader(cache: Path) -> Path:
    found = sorted((cache / "root").rglob("ld-linux*.so.*"))
    if not found:
        raise Unobtainable(f"MicroPython cannot be started: no dynamic loader among the packages in {cache}.")
    return found[0]


def _interpreter(cache: Path) -> Path:
    return cache / "root" / "usr" / "bin" / "micropython"


def _fetch(cache: Path) -> None:
    """Download and unpack beside the cache folder, then move into place: half a cache is never seen."""
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise Unobtainable(f"{NOT_FETCHED}: this machine has no {tool} (it is not a Debian).")
    work = cache.with_name(f"{cache.name}.{os.getpid()}")
    try:
        _download(work, archive())
        for package in sorted(work.glob("*.deb")):
            _run(["dpkg", "-x", str(package), str(work / "root")], work)
            package.unlink()
        (work / DONE).touch()
        shutil.rmtree(cache, ignore_errors=True)
        work.rename(cache)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _download(work: Path, source: Source) -> None:
    for folder in ("state/lists/partial", "cache/archives/partial", "sources.d", "root"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources.list").write_text(source.line(SUITE))
    apt = ["apt-get", "-qq", *(word for option in _apt_options(work) for word in ("-o", option))]
    _run([*apt, "update"], work)
    _run([*apt, "download", *PACKAGES], work)


def _apt_options(work: Path) -> list[str]:
    """An apt that reads one source list and writes only below `work`; the rest is the machine's set-up."""
    return [
        f"Dir::Etc::sourcelist={work}/sources.list",
        f"Dir::Etc::sourceparts={work}/sources.d",
        f"Dir::State={work}/state",
        f"Dir::State::status={work}/status",
        f"Dir::Cache={work}/cache",
        "APT::Sandbox::User=",
        "APT::Default-Release=",
        "Acquire::Languages=none",
        "Acquire::Retries=3",
    ]


def _run(words: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=APT_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise Unobtainable(f"{NOT_FETCHED}: {words[0]} took over {APT_TIMEOUT_S} s.") from error
    if done.returncode:
        said = " ".join(done.stderr.split())[-500:] or f"exit code {done.returncode}"
        raise Unobtainable(f"{NOT_FETCHED} from {SUITE}: {words[0]} says: {said}")


def archive(etc: Path = Path("/etc")) -> Source:
    """The machine's main Debian archive: the source that carries the suite of the release it runs."""
    release = _release(etc)
    for source in sources(etc):
        if release in source.suites:
            return source
    raise Unobtainable(f"{NOT_FETCHED}: apt has no source for the suite {release!r} to learn from.")


def _release(etc: Path) -> str:
    words = dict(line.split("=", 1) for line in (etc / "os-release").read_text().splitlines() if "=" in line)
    if words.get("ID", "").strip('"') != "debian":
        raise Unobtainable(f"{NOT_FETCHED}: only Debian's package of it is known, and this is not Debian.")
    return words.get("VERSION_CODENAME", "").strip('"')


def sources(etc: Path = Path("/etc")) -> Iterator[Source]:
    """Every archive of binary packages in /etc/apt, in apt's two formats."""
    parts = etc / "apt" / "sources.list.d"
    for path in [etc / "apt" / "sources.list", *sorted(parts.glob("*.list"))]:
        if path.exists():
            yield from filter(None, map(_one_line, path.read_text().splitlines()))
    for path in sorted(parts.glob("*.sources")):
        yield from filter(None, map(_stanza, path.read_text().split("\n\n")))


def _one_line(line: str) -> Source | None:
    """`deb [signed-by=/a/key arch=amd64] URI SUITE COMPONENT...`"""
    words = line.split("#")[0].replace("[", " [ ").replace("]", " ] ").split()
    if not words or words[0] != "deb":
        return None
    options: list[str] = []
    if len(words) > 1 and words[1] == "[":
        options, words = words[2 : words.index("]")], words[words.index("]") :]
    if len(words) < 4:
        return None
    signed_by = next((option[10:] for option in options if option.startswith("signed-by=")), "")
    return Source(words[1], (words[2],), tuple(words[3:]), signed_by)


def _stanza(text: str) -> Source | None:
    """A deb822 paragraph: `Types: URIs: Suites: Components: Signed-By:`, the key as a file."""
    lines = [line for line in text.splitlines() if not line.startswith(("#", " ", "\t")) and ":" in line]
    fields = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
    wanted = all(fields.get(name) for name in ("uris", "suites", "components"))
    if not wanted or "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
        return None
    words = {name: tuple(fields[name].split()) for name in ("uris", "suites", "components")}
    return Source(words["uris"][0], words["suites"], words["components"], fields.get("signed-by", ""))


def main() -> int:
    try:
        print(shlex.join(command()))
    except Unobtainable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
