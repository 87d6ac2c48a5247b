"""The real-time events as docs/protocols/browsers.md shows them."""

from collections.abc import Callable
from typing import Any

from tests.dialects.mqttsocket import MqttSocket
from tests.dialects.pysocket import PySocket
from tests.dialects.world import Person, World, barrier, form_token
from tests.gateway_process import wait_until

from .script import Keys, Script

Keep = Callable[[Any], Any]
ID = "PORCH-1"
# Of a module that is not yet what the example shows.
NOT_YET = ("status", "reason", "session", "owner_id", "telemetry", "registered_at")
FIGURES = (
    "usersOnline", "browsers", "total", "online", "offline", "pending", "waiting", "messagesPerSecond",
    "cpuPercent", "memoryMb", "loopLagMs", "uptimeS",
)  # fmt: skip
# How far a rollout is, and whose it is.
OF_ROLLOUT = ("wave_since", "waves", "counts", "progress", "by")


class Stage:
    """An admin who watches the house, an owner, her module on MQTT, and what the owner's tab hears."""

    def __init__(self, world: World, keep: Keep) -> None:
        self.world, self.keep = world, keep
        self.script = Script("browsers")
        self.admin = keep(PySocket(world.url, headers=world.admin.cookie, name="the admin's tab"))
        self.tab = self.admin
        self.token = ""

    @property
    def olga(self) -> Person:
        return self.world.person("olga")

    def says(self, channel: str, name: str, /, **values: Any) -> None:
        self.script.say(self.tab, channel, name, **values)

    def hears(self, channel: str, name: str, free: Keys = (), /, **values: Any) -> Any:
        return self.script.hear(self.tab, channel, name, "", free, **values)

    def admin_hears(self, channel: str, name: str, free: Keys = (), /, **values: Any) -> Any:
        return self.script.hear(self.admin, channel, name, "", free, **values)

    def device(self) -> MqttSocket:
        return self.keep(MqttSocket(self.world.mqtt_port, ID, self.token))


def test_everything_on_the_page(world: World, keep: Keep) -> None:
    stage = Stage(world, keep)
    pages(stage)
    newcomer(stage)
    people(stage)
    the_owners_tab(stage)
    device = the_module_comes(stage)
    live(stage, device)
    commands(stage)
    updates(stage)
    changes_of_the_module(stage, device)
    sessions(stage)
    house(stage)
    removal(stage)
    stage.script.complete()


def pages(stage: Stage) -> None:
    stage.says("clientAuthenticate", "authenticate", userId=99)
    stage.hears("clientAuthError", "authenticationError")
    stage.says("clientAuthenticate", "authenticate", userId=str(stage.world.admin.id))
    stage.hears("clientAuthSuccess", "authenticated")
    stage.says("clientPageChanged", "pageShown", page="modules")
    stage.says("registerPage", "pageShown")
    barrier(stage.admin)


def newcomer(stage: Stage) -> None:
    information = {"name": "Porch light", "location": "Porch"}
    _, stage.token = stage.world.register(ID, type=7, information=information)
    stage.hears("adminModuleAdded", "moduleAdded", NOT_YET)
    stage.hears("rtModuleAdded", "rtModuleAdded", (*NOT_YET, "lastSeenFormatted"))
    stage.hears("waitingChanged", "waitingChanged")
    stage.hears("notificationsChanged", "notificationsChanged")
    stage.world.approve(ID)
    stage.hears("adminModuleUpdated", "moduleUpdated", NOT_YET, expires_at=None)
    stage.hears("rtModuleUpdated", "rtModuleUpdated", (*NOT_YET, "lastSeenFormatted"))


def people(stage: Stage) -> None:
    """Adding somebody logs her in as well, as a program and as a browser."""
    assert stage.olga.id == 2
    for channel, name in {
        "adminUserRegistered": "userRegistered",
        "rtUserRegistered": "userRegistered",
        "adminUserLoggedIn": "userLoggedIn",
        "rtUserLoggedIn": "userLoggedIn",
    }.items():
        stage.hears(channel, name)
    ann = stage.world.person("ann", "admin")
    stage.tab = stage.world.tab(ann, "admin")
    stage.keep(stage.tab)
    stage.world.person("sam")
    stage.hears("adminActionPerformed", "actionPerformed", subject="sam")


def the_owners_tab(stage: Stage) -> None:
    stage.tab = stage.keep(PySocket(stage.world.url, headers=stage.olga.cookie, name="the owner's tab"))
    stage.says("clientAuthenticate", "authenticate", userId=stage.olga.id, userType="user")
    stage.hears("clientAuthSuccess", "authenticated")
    stage.world.call("PATCH", f"/modules/{ID}", json={"owner_id": stage.olga.id})
    stage.hears("userModuleAdded", "moduleAdded", NOT_YET)
    stage.hears("rtModuleAdded", "rtModuleAdded", (*NOT_YET, "lastSeenFormatted"))


def the_module_comes(stage: Stage) -> MqttSocket:
    device = stage.device()
    device.say(f"{ID}/up/register")
    stage.hears("moduleStatusChanged", "statusChanged came")
    stage.hears("userModuleOnline", "ownOnline")
    stage.hears("rtModuleOnline", "rtOnline")
    return device


def live(stage: Stage, device: MqttSocket) -> None:
    device.say(f"{ID}/up/telemetry", {"level": 7})
    stage.world.reports(ID, level=7)
    stage.says("requestModuleStates", "statesRequest")
    stage.hears("moduleStatesSync", "states")
    stage.says("modulesWatch", "watch all")
    seq = stage.hears("modulesSnapshot", "snapshot")["seq"]
    device.say(f"{ID}/up/telemetry", {"level": 8})
    stage.hears("moduleTelemetryUpdated", "telemetryUpdated")
    stage.hears("rtTelemetryUpdated", "rtTelemetry")
    stage.hears("moduleTelemetry", "flatTelemetry")
    stage.hears("modulesChanges", "changes values")
    stage.says("modulesWatch", "watch some", since=seq)
    stage.hears("modulesChanges", "changes values")
    stage.says("clientSyncRequest", "syncRequest")
    stage.hears("modulesSnapshot", "snapshot", telemetry={"level": 8})
    stage.hears("clientSyncSuccess", "syncSuccess")


def commands(stage: Stage) -> None:
    for channel in ("sendModuleCommand", "moduleCommand"):
        stage.script.forget("command")
        stage.says(channel, "moduleCommand")
        stage.hears("commandSent", "commandSent")
        stage.hears("userCommandSent", "userCommandSent")
        stage.hears("moduleCommandUpdated", "commandUpdated")
    stage.says("sendModuleCommand", "moduleCommand", command="explode")
    stage.hears("commandError", "commandError")


def updates(stage: Stage) -> None:
    """Assigned while the module does not listen for offers, taken back, and once more by a rollout."""
    call, fields = stage.world.call, {"serial": "porch-1", "version": "1.0", "type": "7"}
    image = call("POST", "/firmware", 201, data=fields, files={"file": ("porch.bin", b"x" * 264)})
    call("PUT", f"/modules/{ID}/firmware", json={"firmware_id": image["id"]})
    stage.hears("firmwareJobUpdated", "jobUpdated", ("due", "by"))
    call("PUT", f"/modules/{ID}/firmware", json={"firmware_id": None})
    plan = {"name": "May", "firmware_id": image["id"], "modules": [ID]}
    rollout = call("POST", "/rollouts", 201, json=plan)["id"]
    stage.admin_hears("firmwareRolloutUpdated", "rolloutUpdated", OF_ROLLOUT)
    call("POST", f"/rollouts/{rollout}/cancel")
    wait_until(lambda: not stage.world.module(ID)["assigned_firmware"], "it is taken back", 20)


def changes_of_the_module(stage: Stage, device: MqttSocket) -> None:
    admin = stage.world.call
    admin("PATCH", f"/modules/{ID}", json={"name": "Front door"})
    seen = ("lastSeenFormatted", "telemetry", "session", "reason")
    stage.hears("userModuleUpdated", "moduleUpdated", seen, name="Front door")
    stage.hears("rtModuleUpdated", "rtModuleUpdated", seen, name="Front door")
    device.leave()
    stage.hears("moduleStatusChanged", "statusChanged went")
    stage.hears("userModuleOffline", "ownOffline")
    stage.hears("rtModuleOffline", "rtOffline")
    for _ in range(4):
        back = stage.device()
        back.say(f"{ID}/up/register")
        back.leave()
        stage.world.becomes(ID, "offline")
    stage.admin_hears("systemAlert", "alert")


def sessions(stage: Stage) -> None:
    olga, world = stage.olga, stage.world
    world.log_in(olga.name, olga.password)
    stage.hears("userSessionNew", "sessionNew", ("sessionId",))
    form = {"current": olga.password, "new": "another pass phrase", "again": "another pass phrase"}
    csrf = form_token(olga.http, "/account")
    assert olga.http.post("/account/password", data=form | {"csrf": csrf}).status_code == 303
    stage.hears("userSecurityPasswordChanged", "passwordChanged")
    stage.admin_hears("adminUserLoggedOut", "userLoggedOut")
    stage.admin_hears("rtUserLoggedOut", "userLoggedOut")
    world.call("PATCH", f"/users/{olga.id}", json={"name": "Olga"})
    stage.admin_hears("adminUserProfileUpdated", "profileUpdated")
    stage.admin_hears("rtUserProfileUpdated", "profileUpdated")


def house(stage: Stage) -> None:
    stage.script.say(stage.admin, "requestStats", "statsRequest")
    stage.admin_hears("adminStatsUpdated", "statsUpdated", FIGURES)
    stage.admin_hears("rtGlobalStatsUpdated", "statsUpdated", FIGURES)
    for on in (True, False):
        stage.world.call("PUT", "/maintenance", json={"on": on, "reason": "New disk" if on else ""})
        shown = {} if on else {"inMaintenance": False, "reason": ""}
        stage.hears("systemMaintenance", "maintenance", **shown)
    stage.world.call("PUT", "/join", json={"mode": "closed"})
    stage.admin_hears("joinChanged", "joinChanged")


def removal(stage: Stage) -> None:
    stage.world.call("PATCH", f"/modules/{ID}", json={"owner_id": None})
    stage.hears("userModuleRemoved", "moduleRemoved")
    stage.hears("rtModuleRemoved", "moduleRemoved")
    stage.hears("modulesChanges", "changes gone")
    stage.world.call("DELETE", f"/modules/{ID}", 204)
    stage.admin_hears("adminModuleRemoved", "moduleRemoved")
