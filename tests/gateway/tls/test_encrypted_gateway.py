"""A gateway with an authority of its own: web, websockets and MQTT over TLS, and another certificate without
a restart."""

import json
import os
import signal
import ssl
import subprocess
from pathlib import Path

import httpx
import paho.mqtt.client as paho
from gateway_process import PASSERELLE, GatewayProcess, wait_until


def trusting(gateway: GatewayProcess) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(gateway.data / "tls" / "ca.pem"))


def mqtt_hears(gateway: GatewayProcess) -> str:
    """The fingerprint of what MQTT shows to one who checks it."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="nonce-0123456789abcdef")
    client.tls_set_context(trusting(gateway))
    answers: list[object] = []
    client.on_connect = lambda *given: answers.append(given[3])
    client.connect("127.0.0.1", gateway.mqtt_port)
    client.loop_start()
    wait_until(lambda: answers, "an answer to CONNECT over TLS")
    client.disconnect()
    client.loop_stop()
    return str(answers[0])


def shown(gateway: GatewayProcess) -> str:
    plain = ssl.get_server_certificate(("127.0.0.1", gateway.http_port))
    return ssl.PEM_cert_to_DER_cert(plain).hex()


def test_web_and_mqtt_are_encrypted_and_follow_a_new_certificate(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, tls="own") as gateway:
        url = gateway.url.replace("http:", "https:")
        with httpx.Client(base_url=url, verify=trusting(gateway)) as client:
            page = client.get("/login")
            assert page.headers["strict-transport-security"] == "max-age=31536000"
            assert "Secure" in page.headers["set-cookie"]
            ca = client.get("/ca.pem")
            assert ca.content == (gateway.data / "tls" / "ca.pem").read_bytes()
            assert "PRIVATE" not in ca.text
            assert "passerelle_certificate_ends_seconds 1" in client.get("/metrics").text
        assert mqtt_hears(gateway) == "Success"

        before = shown(gateway)
        told = json.loads(gateway.command("tls", "fingerprint", "--json"))
        renewed = json.loads(gateway.command("tls", "renew", "--json"))
        assert renewed["fingerprint"] != told["fingerprint"]
        assert renewed["ca_fingerprint"] == told["ca_fingerprint"]
        os.kill(gateway.pid, signal.SIGHUP)
        wait_until(lambda: shown(gateway) != before, "the new certificate")
        assert httpx.get(url + "/healthz", verify=trusting(gateway)).text == "ok"
        assert mqtt_hears(gateway) == "Success"
        assert not [line for line in gateway.lines if "Traceback" in line]


def test_a_gateway_without_a_usable_certificate_says_why(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    words = GatewayProcess(tmp_path, tls_cert=tmp_path / "bad.pem", tls_key=tmp_path / "bad.pem")
    done = subprocess.run([PASSERELLE, "run"], cwd=tmp_path, env=words.env, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Certificate and key cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
    done = subprocess.run(
        [PASSERELLE, "run"], cwd=tmp_path, env=words.env | {"PASSERELLE_TLS": "maybe"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, "PASSERELLE_TLS" in done.stderr) == (2, True)
