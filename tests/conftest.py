"""For every test: asyncio under anyio; long files first; in CI a test that does not run is a failure."""

import os

import pytest

CI = os.environ.get("CI", "").lower() in {"1", "true"}
not_run: list[str] = []
# Here processes are started and killed, so a file takes long; begun last, one would be waited for alone.
LONG = (
    "faults", "device", "updates", "dialects", "story", "sockets_fuzz", "conformance", "gateway/couriers",
    "web/test_schemathesis.py", "web/test_audit_every_route.py", "web/test_languages.py",
)  # fmt: skip


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    places = [config.rootpath / "tests" / folder for folder in LONG]
    items.sort(key=lambda item: not any(place in (item.path, *item.path.parents) for place in places))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    note(report, getattr(report, "wasxfail", ""))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    note(report, "")


def note(report: pytest.TestReport | pytest.CollectReport, excuse: str) -> None:
    """An expected failure passes when it says why; a skip never does."""
    if report.skipped and not excuse.removeprefix("reason: "):
        place_and_reason = report.longrepr if isinstance(report.longrepr, tuple) else ()
        reason = place_and_reason[2] if place_and_reason else "expected to fail, no reason given"
        not_run.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if CI and not_run and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if CI and not_run:
        terminalreporter.section("not run, which in CI is a failure", red=True)
        for line in not_run:
            terminalreporter.line(line)
