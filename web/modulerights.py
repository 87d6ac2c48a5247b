"""What a module may send and hear over MQTT, in plain words, made from the grants that the broker asks."""

from dataclasses import dataclass

from gateway.core.rights import ModuleIdentity, Path, grants
from gateway.core.values import Module
from web.language import gettext as _
from web.language import later

# What lies under each grant of a module, behind its id.
_SENDS: dict[Path, str] = {
    ("up", "#"): later("Its readings and events, answers to commands, the settings it has, and its log."),
    ("up", "register"): later("A hello, and nothing else, until it is approved."),
}
_HEARS: dict[Path, str] = {
    ("down", "#"): later("Commands, settings and firmware meant for it."),
    ("down", "registered"): later("Whether it was approved."),
}


@dataclass(frozen=True, slots=True)
class ModuleRight:
    """`sends`: it may publish on `topic`, else subscribe to it."""

    sends: bool
    topic: str
    words: str


def module_rights(module: Module, topic_root: str) -> list[ModuleRight]:
    """All that its token lets it do; everything else is refused."""
    identity = ModuleIdentity(module.id, module.life == "approved")
    sends = [_right(True, path, _SENDS, topic_root) for path in grants(identity, "publish")]
    return sends + [_right(False, path, _HEARS, topic_root) for path in grants(identity, "subscribe")]


def _right(sends: bool, path: Path, words: dict[Path, str], topic_root: str) -> ModuleRight:
    said = words.get(path[1:])
    return ModuleRight(sends, "/".join((topic_root, *path)), _(said) if said else "")
