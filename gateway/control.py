"""A door for the command line: what it asks is done by the running gateway, or on the data at rest.

The socket lies in the data folder and only its owner may open it. A lock beside it keeps a second gateway
(or a command on data that is in use) away.
"""

import asyncio
import fcntl
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, Any, Self

import msgspec

from gateway.backup.making import BackupMaker
from gateway.core.core import Core, open_core
from gateway.core.errors import GatewayError, Invalid, NotFound
from gateway.core.rights import Role
from gateway.settings import Settings

log = logging.getLogger(__name__)

MAX_REQUEST = 16 * 1024 * 1024
# What a Unix socket's address can hold, on the narrowest of systems.
MAX_SOCKET_PATH = 100
BY = "command line"
# Lies in the data folder while a restored backup takes its place.
UNDER_WAY = "restore-under-way"

Operation = Callable[..., Awaitable[Any]]


async def add_user(core: Core, username: str, role: str, password: str) -> Any:
    try:
        chosen = Role(role)
    except ValueError:
        raise Invalid("A role is one of %(role)s.", role=", ".join(Role)) from None
    user = await core.accounts.people.add(username, password, chosen, BY)
    return {"id": user.id, "username": user.username, "role": user.role}


async def reset_second_factor(core: Core, username: str) -> Any:
    user = core.accounts.people.named(username)
    if user is None:
        raise NotFound("There is no user %(username)r.", username=username[:64])
    await core.accounts.factors.remove(user.id, user.username, BY)
    return {"id": user.id, "username": user.username}


async def import_modules(core: Core, rows: list[dict[str, Any]]) -> Any:
    declared = await core.decisions.declare(rows, BY, with_token=True)
    return [{"id": module.id, "token": token, "type": module.type} for module, token in declared]


async def verify_audit(core: Core) -> Any:
    verdict = await core.audit.verify()
    return {"whole": verdict.whole} | msgspec.to_builtins(verdict)


async def accept_audit(core: Core) -> Any:
    await core.audit.accept(BY)
    return await verify_audit(core)


async def make_backup(core: Core, file: str, passphrase: str) -> Any:
    made = await BackupMaker(core).to_file(Path(file), passphrase, BY)
    return {"file": file, "size": made.size, "at_ms": made.at_ms}


OPERATIONS: dict[str, Operation] = {
    "backup": make_backup,
    "user.add": add_user,
    "user.reset_second_factor": reset_second_factor,
    "module.import": import_modules,
    "audit.verify": verify_audit,
    "audit.accept": accept_audit,
}


class Control:
    """`async with Control(core)`: serve the command line."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._path = socket_path(core.settings)
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        if len(str(self._path)) > MAX_SOCKET_PATH:
            log.warning("The data folder's path is too long for a control socket; commands must wait.")
            return self
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=MAX_REQUEST)
        self._path.chmod(0o600)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await self._answer(await reader.readline())
            writer.write(msgspec.json.encode(answer) + b"\n")
            await writer.drain()
        except (ValueError, OSError):
            log.warning("A command that came through the control socket could not be read.")
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(line)
            operation = OPERATIONS[request["operation"]]
            return {"result": await operation(self._core, **request["arguments"])}
        except GatewayError as error:
            return {"error": str(error.message)}
        except (msgspec.DecodeError, KeyError, TypeError):
            return {"error": "The running gateway does not know this command; it may be of another version."}


def socket_path(settings: Settings) -> Path:
    return settings.data.absolute() / "control.sock"


def lock(settings: Settings, *, cut_short: bool = False) -> IO[str]:
    """Take the data folder for this process; raises `Invalid` when another has it.

    So it does for a folder in which a restore was cut short, unless that is just what is being mended.
    """
    # Keys, tokens' digests and the control socket lie there: for its owner only.
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = (settings.data / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise Invalid("Another gateway or command uses %(data)s right now.", data=settings.data) from None
    if (settings.data / UNDER_WAY).exists() and not cut_short:
        file.close()
        raise Invalid(
            "A restore into %(data)s was cut short. Run it again with --force.", data=settings.data
        )
    return file


async def perform(settings: Settings, operation: str, **arguments: Any) -> Any:
    """Do an operation in the running gateway, or here when none runs; raises GatewayError."""
    try:
        reader, writer = await asyncio.open_unix_connection(socket_path(settings), limit=MAX_REQUEST)
    except OSError:
        with lock(settings):
            async with open_core(settings) as core:
                return await OPERATIONS[operation](core, **arguments)
    writer.write(msgspec.json.encode({"operation": operation, "arguments": arguments}) + b"\n")
    answer = msgspec.json.decode(await reader.readline())
    writer.close()
    if "error" in answer:
        raise Invalid(answer["error"])
    return answer["result"]
