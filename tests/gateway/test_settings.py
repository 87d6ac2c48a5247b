"""Settings: their names, where they come from, and what is said of a bad one."""

import pytest
from pydantic import ValidationError

from gateway.settings import Settings, kept_secret


@pytest.fixture(autouse=True)
def empty_house(tmp_path, monkeypatch):
    """No setting of this machine, and no file of this folder."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PASSERELLE_{name.upper()}", raising=False)


def test_environment_goes_before_the_file_and_the_file_before_the_defaults(tmp_path, monkeypatch):
    assert (Settings().http_port, Settings().mqtt_port, Settings().topic_root) == (8080, 1883, "gw/1")
    (tmp_path / "passerelle.toml").write_text('http_port = 1\nmqtt_port = 2\nrate_limits = "off"\n')
    monkeypatch.setenv("PASSERELLE_MQTT_PORT", "3")
    settings = Settings()
    assert (settings.http_port, settings.mqtt_port, settings.rate_limits) == (1, 3, False)
    assert Settings(mqtt_port=4).mqtt_port == 4


@pytest.mark.parametrize("name, value", [
    ("HTTP_PORT", "http"), ("HTTP_PORT", "70000"), ("MQTT_PORT", "-1"), ("JOIN", "sometimes"), 
    ("PENDING_TTL", "0"),
    ("PENDING_TTL", "2592001"), ("PENDING_MAX", "0"), ("RATE_LIMITS", "perhaps"), ("TOPIC_ROOT", ""),
    ("TOPIC_ROOT", "gw/#"), ("TOPIC_ROOT", "+/1"), ("TOPIC_ROOT", "$SYS"),
    ("TOPIC_ROOT", "/gw"), ("TOPIC_ROOT", "gw/"),
    ("SECRET_KEY", "too short"), ("LOG_FORMAT", "xml"),
])  # fmt: skip
def test_a_bad_one_is_named_and_its_secret_not_shown(monkeypatch, name, value):
    monkeypatch.setenv(f"PASSERELLE_{name}", value)
    with pytest.raises(ValidationError) as refused:
        Settings()
    (fault,) = refused.value.errors(include_input=False, include_url=False)
    assert fault["loc"] == (name.lower(),) and fault["msg"]
    if name == "SECRET_KEY":
        assert value not in str(fault) and "at least 32 bytes" in fault["msg"]


def test_a_misspelt_one_in_the_file_is_refused(tmp_path):
    (tmp_path / "passerelle.toml").write_text("http_prot = 1\n")
    with pytest.raises(ValidationError, match="http_prot"):
        Settings()


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path):
    key = Settings(data=tmp_path / "new" / "data").signing_key()
    file = tmp_path / "new" / "data" / "secret.key"
    assert len(key) >= 32 and file.stat().st_mode & 0o777 == 0o600
    assert Settings(data=tmp_path / "new" / "data").signing_key() == key == kept_secret(file)
    given = Settings(secret_key="k" * 32)
    assert given.signing_key() == "k" * 32 and "kkk" not in repr(given)


@pytest.mark.parametrize("given, url", [
    ({}, "http://localhost:8080"), ({"http_host": "10.0.0.1", "http_port": 1}, "http://10.0.0.1:1"),
    ({"public_url": "https://house.example/"}, "https://house.example"),
])  # fmt: skip
def test_where_a_person_reaches_the_web(given, url):
    assert Settings(**given).url == url
