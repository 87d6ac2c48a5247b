"""The command line."""

import asyncio
import csv
import sys
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette

from firmware.bundles import make_bundle
from gateway.app import Gateway, make_app
from gateway.backup.restoring import restore
from gateway.control import perform
from gateway.core.audit_words import said_of
from gateway.core.errors import GatewayError, Invalid
from gateway.serve import serve
from gateway.settings import Settings, unknown_variables
from gateway.simulator import command as simulator
from gateway.simulator.demo import demonstration
from gateway.tls.keeper import Tls

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    # Its own tracebacks would show the values of variables, and tokens are among them.
    pretty_exceptions_enable=False,
    help="Passerelle, an MQTT-bridged IoT gateway.",
)
user_app = typer.Typer(no_args_is_help=True, help="People.")
module_app = typer.Typer(no_args_is_help=True, help="Modules.")
audit_app = typer.Typer(no_args_is_help=True, help="The audit trail.")
app.add_typer(user_app, name="user")
app.add_typer(module_app, name="module")
app.add_typer(audit_app, name="audit")
firmware_app = typer.Typer(no_args_is_help=True, help="Firmware.")
app.add_typer(firmware_app, name="firmware")
tls_app = typer.Typer(no_args_is_help=True, help="The certificate of the web and MQTT.")
app.add_typer(tls_app, name="tls")

SIMULATED = Path("simulated-modules.json")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FromStdin = Annotated[bool, typer.Option("--passphrase-stdin", help="Read it from standard input.")]
out = Console(highlight=False, soft_wrap=True)


@app.command()
def run(
    demo: Annotated[bool, typer.Option("--demo", help="With simulated modules, on data of its own.")] = False,
) -> None:
    """Start the gateway: embedded broker, web and everything between."""
    settings = _settings()
    for name in unknown_variables():
        typer.echo(f"{name} is not a setting of this version; it has no effect.", err=True)
    if demo:
        with demonstration(settings) as shown:
            application = make_app(shown.settings, shown.beside)
            started = serve(shown.settings, application, partial(_announce, more=shown.lines))
    else:
        started = serve(settings, make_app(settings), _announce)
    if not started:
        raise typer.Exit(1)


def _announce(served: Starlette, more: Sequence[str] = ()) -> None:
    gateway: Gateway = served.state.gateway
    settings = gateway.core.settings
    out.print(f"Passerelle is at {settings.url}  (MQTT on port {gateway.link.ports[0]})", markup=False)
    if secret := gateway.core.accounts.setup_secret:
        out.print("Make the first account here (the link works once, until the next start):", markup=False)
        out.print(f"  {settings.url}/setup#secret={secret}", markup=False)
    for line in more:
        out.print(line, markup=False)
    out.file.flush()


@app.command()
def simulate(
    devices: Annotated[int, typer.Option(min=1, max=100_000, help="How many.")] = 10,
    profile: Annotated[str, typer.Option(help="steady, flaky or chatty")] = "steady",
    host: Annotated[str, typer.Option(help="Where the gateway is.")] = "localhost",
    port: Annotated[int | None, typer.Option(help="Its MQTT port; as in the settings unless given.")] = None,
    type: Annotated[str, typer.Option(help="Code or suffix of one type; all in turn unless given.")] = "",
    seed: Annotated[int, typer.Option(help="The same seed makes the same values and faults.")] = 1,
    interval: Annotated[float | None, typer.Option(min=0.001, help="Seconds between readings.")] = None,
    tokens: Annotated[Path, typer.Option(help="Where they keep their tokens.")] = SIMULATED,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so many seconds.")] = None,
    as_json: AsJson = False,
) -> None:
    """Connect simulated modules to a gateway; approve them there. Ctrl-C ends them."""
    settings = _settings()
    wanted = simulator.Wanted(
        devices=devices, profile=profile, host=host, port=port or settings.mqtt_port, seed=seed, type=type,
        topic_root=settings.topic_root, interval_s=interval, tokens=tokens, seconds=seconds,
    )  # fmt: skip
    watched = sys.stdout.isatty() and not as_json
    summary = simulator.simulate(wanted, simulator.on_one_line if watched else None)
    if as_json:
        _show(summary, True)
    else:
        out.print(simulator.in_words(summary), markup=False)


@user_app.command("add")
def user_add(
    name: str,
    role: Annotated[str, typer.Option(help="user, technician or admin")] = "user",
    password_stdin: Annotated[bool, typer.Option(help="Read the password from standard input.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a person; works while the gateway runs and while it does not."""
    password = sys.stdin.readline().rstrip("\n") if password_stdin else _typed_password()
    _show(_perform("user.add", username=name, role=role, password=password), as_json)


@user_app.command("reset-second-factor")
def user_reset_second_factor(name: str, as_json: AsJson = False) -> None:
    """Let somebody who has lost phone and recovery codes log in by password alone."""
    _show(_perform("user.reset_second_factor", username=name), as_json)


def _typed_password() -> str:
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


@module_app.command("import")
def module_import(file: Path, as_json: AsJson = False) -> None:
    """Approve modules from a CSV file (serial,type,name,group), all or none; prints each id and token."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = [dict(row) for row in csv.DictReader(lines)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Invalid("%(file)s cannot be read: %(error)s", file=file, error=error) from None
    _show(_perform("module.import", rows=rows), as_json)


@audit_app.command("verify")
def audit_verify(
    accept: Annotated[
        bool, typer.Option(help="Go on from what there is, after a restored backup or with another key.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check that no row of the audit trail was changed, taken out or cut off; status 1 if one was."""
    result = _perform("audit.accept" if accept else "audit.verify")
    if as_json:
        _show(result, True)
    else:
        out.print(said_of(result), markup=False)
    if not result["whole"]:
        raise typer.Exit(1)


@app.command()
def backup(file: Path, passphrase_stdin: FromStdin = False, as_json: AsJson = False) -> None:
    """Write everything (data, images, keys) to an encrypted file; works while the gateway runs."""
    passphrase = _passphrase(passphrase_stdin, anew=True)
    _show(_perform("backup", file=str(file.absolute()), passphrase=passphrase), as_json)


@app.command("restore")
def restore_backup(
    file: Path,
    force: Annotated[bool, typer.Option(help="Put aside what is in the data folder.")] = False,
    passphrase_stdin: FromStdin = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup into the data folder, checked before anything is touched; no gateway may run on it."""
    passphrase = _passphrase(passphrase_stdin, anew=False)
    restored = asyncio.run(restore(_settings(), file, passphrase, force=force))
    if restored.audit_fault:
        typer.echo("The audit trail in the backup is not whole: see `passerelle audit verify`.", err=True)
    _show(msgspec.to_builtins(restored), as_json)


def _passphrase(stdin: bool, *, anew: bool) -> str:
    if stdin:
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=anew))


@tls_app.command("fingerprint")
def tls_fingerprint(as_json: AsJson = False) -> None:
    """Show the certificate and its fingerprint, and that of the authority."""
    _show(_certificate(), as_json)


@tls_app.command("renew")
def tls_renew(as_json: AsJson = False) -> None:
    """Make a new certificate by the gateway's own authority; a running gateway shows it within 30 s."""
    Tls(_settings()).renew()
    _show(_certificate(), as_json)


def _certificate() -> dict[str, Any]:
    tls = Tls(_settings())
    tls.open()
    if tls.current is None:
        raise Invalid("There is no certificate: PASSERELLE_TLS is off.")
    return {**msgspec.to_builtins(tls.current), "days_left": tls.days_left()}


@firmware_app.command("bundle")
def firmware_bundle(
    folder: Path,
    file: Annotated[Path, typer.Argument(metavar="OUT.TAR", help="Where the bundle goes.")],
    name: Annotated[str, typer.Option(help="Of the application.")],
    version: Annotated[str, typer.Option(help="Of the application.")],
    as_json: AsJson = False,
) -> None:
    """Pack a MicroPython application (a folder with main.py) to upload as firmware."""
    if not folder.is_dir():
        raise Invalid("%(folder)s is no folder.", folder=folder)
    try:
        data = make_bundle(folder, name, version)
        file.write_bytes(data)
    except OSError as error:
        raise Invalid(
            "%(filename)s cannot be read or written: %(strerror)s.",
            filename=error.filename,
            strerror=error.strerror,
        ) from None
    _show({"file": str(file), "size": len(data), "digest": f"sha256:{sha256(data).hexdigest()}"}, as_json)


def _perform(operation: str, **arguments: Any) -> Any:
    return asyncio.run(perform(_settings(), operation, **arguments))


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            names = "_".join(str(part) for part in fault["loc"]).upper()
            typer.echo(f"PASSERELLE_{names}: {fault['msg']}", err=True)
        raise typer.Exit(2) from None


def _show(result: Any, as_json: bool) -> None:
    """Print a result as JSON, or a row a thing."""
    if as_json:
        typer.echo(msgspec.json.encode(result).decode())
        return
    rows = result if isinstance(result, list) else [result]
    if not rows:
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    out.print(table)


def main() -> None:
    """Run a command; what it refuses is a sentence and status 1, not a traceback."""
    try:
        app()
    except GatewayError as error:
        typer.echo(error.message, err=True)
        sys.exit(1)
