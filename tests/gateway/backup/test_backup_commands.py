"""`passerelle backup` and `restore`, beside a running gateway and on data at rest."""

import json
import subprocess
from pathlib import Path

from gateway_process import PASSERELLE, GatewayProcess, modules

PASSPHRASE = "correct horse battery staple\n"


def refused(gateway: GatewayProcess, *words: str, stdin: str = PASSPHRASE) -> str:
    done = subprocess.run(
        [PASSERELLE, *words, "--passphrase-stdin"], cwd=gateway.folder, env=gateway.env, input=stdin,
        text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_house_moves_to_a_new_host(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    words = ("--passphrase-stdin", "--json")
    with GatewayProcess(tmp_path / "old") as old:
        old.add_admin()
        (old.folder / "modules.csv").write_text("serial,type,name,group\nMC-1,7,Mill,attic\n")
        old.command("module", "import", "modules.csv")
        first = json.loads(old.command("backup", "running.backup", *words, stdin=PASSPHRASE))
        assert "is there already" in refused(old, "backup", "running.backup")
        assert "10 to 256" in refused(old, "backup", "other.backup", stdin="short\n")
        # Neither the passphrase nor a part of it is in the log.
        assert not [line for line in old.lines if "battery" in line]
    old.command("backup", "at-rest.backup", *words, stdin=PASSPHRASE)
    file = Path(first["file"])
    assert file.stat().st_size == first["size"]

    new = GatewayProcess(tmp_path / "new")
    assert "passphrase is wrong" in refused(new, "restore", str(file), stdin="another passphrase\n")
    restored = json.loads(new.command("restore", str(file), *words, stdin=PASSPHRASE))
    assert (restored["kept"], restored["audit_fault"]) == ("", "")
    new.password, new._has_admin = old.password, True
    with new, new.api() as api:
        assert [module["id"] for module in modules(api)] == ["MC-1"]
        assert "right now" in refused(new, "restore", str(file), "--force")
        assert json.loads(new.command("audit", "verify", "--json"))["whole"]
