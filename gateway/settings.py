"""Settings from the environment (`PASSERELLE_...`) or `passerelle.toml`, same names, checked at start."""

import os
import secrets
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

CONFIG_FILE = Path("passerelle.toml")
MIN_KEY_BYTES = 32
# Devices and browsers of the house come from outside, so both doors listen on every interface.
DIALECTS = frozenset({"modules", "clients", "browsers"})
EVERY_INTERFACE = str(IPv4Address(0))


class Settings(BaseSettings):
    """Every setting of the gateway; `docs` and the README list them with these descriptions."""

    model_config = SettingsConfigDict(env_prefix="PASSERELLE_", toml_file=CONFIG_FILE, extra="forbid")

    data: Path = Field(Path("data"), description="Folder for the database and keys")
    http_host: str = Field(EVERY_INTERFACE, description="Address the web listens on")
    http_port: int = Field(8080, ge=0, le=65535, description="Port of the web, of Socket.IO and of /mqtt")
    mqtt_host: str = Field(EVERY_INTERFACE, description="Address the embedded broker listens on")
    mqtt_port: int = Field(1883, ge=0, le=65535, description="Port of the embedded broker")
    database_url: str = Field("", description="sqlite:///path/to/file; empty: a file in the data folder")
    secret_key: SecretStr = Field(
        SecretStr(""), description="Signs sessions, >= 32 bytes; made and kept in the data folder when empty"
    )
    public_url: str = Field("", description="How browsers and devices reach the web, for links")
    topic_root: str = Field("gw/1", description="First words of every MQTT topic of the gateway")
    join: Literal["open", "window", "closed"] = Field(
        "open", description="Whether newcomers may register: open, window (a technician opens it), closed"
    )
    pending_ttl: int = Field(3600, ge=1, le=30 * 86400, description="Seconds a newcomer waits for approval")
    pending_max: int = Field(200, ge=1, le=100_000, description="How many may wait at once")
    rate_limits: bool = Field(True, description="on or off (off: benchmarks only)")
    compat: str = Field(
        "on", description="Older spellings of events: on, off, or some of modules,clients,browsers"
    )
    reconcile_every: float = Field(
        10, ge=0.1, le=86400, description="Seconds between looks for modules that need their firmware"
    )
    probation: float = Field(
        60, ge=0, le=86400, description="Seconds a module must stay well before its update is confirmed"
    )
    update_retry: float = Field(
        30, ge=0.1, le=86400, description="Seconds before a failed update is tried again, doubled each time"
    )
    time_zone: str = Field(
        "", description="Zone of the site, for time windows, such as Europe/Paris; empty: UTC"
    )
    logstash_url: str = Field(
        "", description="tcp://host:port that gets every audit row as a JSON line; empty: nobody"
    )
    tls_cert: Path | None = Field(None, description="Certificate chain (PEM) for the web and MQTT")
    tls_key: Path | None = Field(None, description="Its private key (PEM)")
    tls: Literal["", "off", "files", "own"] = Field(
        "",
        validate_default=True,
        description="Encryption: off, files (the two above), own (a CA in the data folder); "
        "empty: files where they are given",
    )
    log_format: Literal["text", "json"] = Field("text", description="Log lines as text or JSON")

    @field_validator("topic_root")
    @classmethod
    def _plain_root(cls, value: str) -> str:
        words = value.split("/")
        if not all(words) or any(set(word) & set("+#$\0") for word in words):
            raise ValueError(f"Topic root {value!r} must be words joined by '/', without wildcards or '$'.")
        return value

    @field_validator("compat")
    @classmethod
    def _known_dialects(cls, value: str) -> str:
        if unknown := _dialects(value) - DIALECTS:
            known = ", ".join(sorted(DIALECTS))
            raise ValueError(f"Compat is on, off, or some of {known}; {min(unknown)!r} is none.")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value and not value.startswith("sqlite:///"):
            raise ValueError("This version keeps its data in SQLite: sqlite:///path/to/file.")
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value or "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{value!r} is no time zone; one is Europe/Paris.") from None
        return value

    @field_validator("logstash_url")
    @classmethod
    def _tcp_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme != "tcp" or not parts.hostname or not parts.port or parts.path):
            raise ValueError("The receiver of audit lines is tcp://host:port.")
        return value

    @field_validator("tls")
    @classmethod
    def _with_files(cls, value: str, info: ValidationInfo) -> str:
        if value == "files" and info.data.get("tls_cert") is None:
            raise ValueError("Encryption by files needs PASSERELLE_TLS_CERT.")
        return value

    @field_validator("secret_key")
    @classmethod
    def _long_key(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value().encode()) < MIN_KEY_BYTES:
            raise ValueError(f"The secret key must have at least {MIN_KEY_BYTES} bytes.")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def compat_dialects(self) -> frozenset[str]:
        """The dialects whose older spellings are understood and spoken."""
        return _dialects(self.compat)

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data / 'passerelle.db'}"

    @property
    def database_path(self) -> Path:
        """Where SQLite keeps it."""
        return Path(self.database.removeprefix("sqlite:///"))

    @property
    def tls_mode(self) -> Literal["off", "files", "own"]:
        """Where certificate and key come from, or that there are none."""
        return self.tls or ("files" if self.tls_cert else "off")

    @property
    def url(self) -> str:
        """Where a person reaches the web."""
        if self.public_url:
            return self.public_url.rstrip("/")
        scheme = "http" if self.tls_mode == "off" else "https"
        host = "localhost" if self.http_host in (EVERY_INTERFACE, "::", "") else self.http_host
        return f"{scheme}://{host}:{self.http_port}"

    def signing_key(self) -> str:
        """The key that signs tokens; made on first use and kept, readable by its owner only."""
        given = self.secret_key.get_secret_value()
        return given or kept_secret(self.data / "secret.key")


def _dialects(compat: str) -> frozenset[str]:
    words = {"on": DIALECTS, "true": DIALECTS, "off": frozenset[str](), "false": frozenset[str]()}
    listed = frozenset(word.strip() for word in compat.split(",") if word.strip())
    return words.get(compat.strip().lower(), listed)


def unknown_variables() -> list[str]:
    """Environment variables that look like settings but are none of this version's."""
    known = {f"PASSERELLE_{name.upper()}" for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.startswith("PASSERELLE_") and name not in known)


def kept_secret(path: Path) -> str:
    """A random secret kept in a file that only its owner may read."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.touch(mode=0o600)
        part.write_text(secrets.token_urlsafe(48))
        part.replace(path)
    return path.read_text().strip()
