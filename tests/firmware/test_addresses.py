"""Which address a module is told, and that one which cannot be reached is not told at all."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from firmware.addresses import Addresses
from firmware.surroundings import Surroundings, _routes, local_address, surroundings
from gateway.core.events import Hub, ModuleRemoved, SessionOpened
from gateway.core.values import Module
from gateway.settings import Settings

HOUSE = Surroundings(host_name="gate", gateway=IPv4Address("192.168.1.1"),
                     neighbours=(IPv4Network("192.168.1.0/24"),))  # fmt: skip
DOCKER = Surroundings(
    container=True, host_name="3f2a9c1b7d10", gateway=IPv4Address("172.18.0.1"),
    neighbours=(IPv4Network("172.18.0.0/16"),), bridged=True,
)  # fmt: skip
HOST_NETWORK = Surroundings(
    container=True, host_name="gate", gateway=IPv4Address("192.168.1.1"),
    neighbours=(IPv4Network("192.168.1.0/24"), IPv4Network("172.17.0.0/16")),
)  # fmt: skip

ANY = str(IPv4Address(0))


def module(address):
    return Module(
        id="MC-1",
        number=1,
        uuid="u",
        name="",
        location="",
        type=7,
        life="approved",
        created_at_ms=0,
        address=address,
    )


def advertised(tmp_path, around, address, **settings):
    addresses = Addresses(Settings(data=tmp_path, **settings), around)
    return addresses.advertised(module(address))


@pytest.fixture
def local(monkeypatch):
    """What the kernel would use."""

    def use(address):
        monkeypatch.setattr("firmware.addresses.local_address", lambda towards: IPv4Address(address))

    return use


@pytest.mark.parametrize(
    ("around", "own", "theirs", "fits"),
    [
        (HOUSE, "192.168.1.5", "192.168.1.77", True),
        (HOUSE, "10.8.0.1", "10.8.0.6", True),
        (HOUSE, "172.17.0.1", "172.17.0.9", True),
        (HOUSE, "127.0.0.1", "127.0.0.1", True),
        (HOUSE, "127.0.0.1", "192.168.1.77", False),
        (HOUSE, ANY, "192.168.1.77", False),
        (HOUSE, "169.254.7.7", "192.168.1.77", False),
        (HOUSE, "169.254.7.7", "169.254.8.8", True),
        # Whoever comes from outside comes from the bridge's own address.
        (DOCKER, "172.18.0.2", "172.18.0.1", False),
        (DOCKER, "172.18.0.2", "192.168.1.77", False),
        # Another container on the same network reaches it.
        (DOCKER, "172.18.0.2", "172.18.0.7", True),
        (HOST_NETWORK, "192.168.1.5", "192.168.1.77", True),
        (HOST_NETWORK, "10.9.0.5", "10.9.3.77", True),
        (HOST_NETWORK, "172.17.0.1", "10.9.3.77", False),
    ],
)
def test_the_address_the_kernel_would_use(tmp_path, local, around, own, theirs, fits):
    local(own)
    found = advertised(tmp_path, around, theirs, http_port=8123)
    if fits:
        assert (found.url, found.problem) == (f"http://{own}:8123", "")
    else:
        assert found.url == ""
        assert "PASSERELLE_PUBLIC_URL" in found.problem


@pytest.mark.parametrize(
    ("around", "url", "fits"),
    [
        (HOUSE, "https://iot.example.org/", True),
        (HOUSE, "http://192.168.1.5:8080", True),
        (HOUSE, "http://gate:8080", True),
        (HOUSE, "http://gate.local:8080", True),
        (HOUSE, "http://localhost:8080", False),
        (HOUSE, "http://LOCALHOST", False),
        (HOUSE, "http://127.0.0.1:8080", False),
        (HOUSE, "http://[::1]:8080", False),
        (HOUSE, "http://[::ffff:127.0.0.1]:8080", False),
        (HOUSE, "http://[fe80::1]:8080", False),
        (HOUSE, "http://[2001:db8::5]:8080", True),
        (HOUSE, f"http://{ANY}:8080", False),
        (HOUSE, "nonsense", False),
        (HOUSE, "http://[broken", False),
        (DOCKER, "http://3f2a9c1b7d10:8080", False),
        (DOCKER, "http://172.18.0.2:8080", False),
        (DOCKER, "http://host.docker.internal:8080", False),
        (DOCKER, "http://192.168.1.5:8080", True),
        (DOCKER, "http://iot.example.org", True),
    ],
)
def test_the_address_that_was_set(tmp_path, around, url, fits):
    found = advertised(tmp_path, around, "192.168.1.77", public_url=url)
    assert found.url == (url.rstrip("/") if fits else "")
    assert bool(found.problem) is not fits
    assert fits or "Set PASSERELLE_PUBLIC_URL" in found.problem


def test_this_machine_is_enough_for_a_module_on_it(tmp_path):
    assert advertised(tmp_path, HOUSE, "127.0.0.1", public_url="http://localhost:8080").url


@pytest.mark.anyio
async def test_a_docker_name_is_looked_up(tmp_path, monkeypatch):
    names = {"passerelle": (IPv4Address("172.18.0.2"),), "nas": (IPv4Address("192.168.1.5"),)}
    monkeypatch.setattr("firmware.addresses.resolved", lambda name: names.get(name, ()))
    for name, fits in (("passerelle", False), ("nas", True), ("unknown", True)):
        addresses = Addresses(Settings(data=tmp_path, public_url=f"http://{name}:8080"), DOCKER)
        await addresses.load()
        assert bool(addresses.advertised(module("192.168.1.77")).url) is fits


def test_a_door_that_is_bound_to_one_address(tmp_path, local):
    local("192.168.1.5")
    assert not advertised(tmp_path, HOUSE, "192.168.1.77", http_host="127.0.0.1").url
    found = advertised(tmp_path, HOUSE, "192.168.1.77", http_host="10.1.1.1", http_port=80)
    assert found.url == "http://10.1.1.1:80"


def test_nothing_is_guessed_for_a_module_nobody_knows_the_way_to(tmp_path):
    for address in ("", "nowhere", "testclient", "1.2.3", "\0"):
        found = advertised(tmp_path, HOUSE, address)
        assert (found.url, "not known" in found.problem) == ("", True)


def test_it_goes_by_the_address_a_module_has_now(tmp_path, monkeypatch):
    ways = {"192.168.1.77": "192.168.1.5", "10.8.0.6": "10.8.0.1"}
    monkeypatch.setattr("firmware.addresses.local_address", lambda towards: IPv4Address(ways[towards]))
    hub, addresses = Hub(), Addresses(Settings(data=tmp_path), HOUSE)
    addresses.watch(hub)
    moved = module("192.168.1.77")
    assert "192.168.1.5" in addresses.advertised(moved).url
    hub.publish(SessionOpened("MC-1", "10.8.0.6"))
    assert "10.8.0.1" in addresses.advertised(moved).url
    # A transport that does not know takes nothing back.
    hub.publish(SessionOpened("MC-1", ""))
    assert "10.8.0.1" in addresses.advertised(moved).url
    hub.publish(ModuleRemoved(moved, "deleted", "ann"))
    assert "192.168.1.5" in addresses.advertised(moved).url


def test_a_port_of_any_kind_must_be_told(tmp_path):
    addresses = Addresses(Settings(data=tmp_path, http_port=0), HOUSE)
    assert "port" in addresses.advertised(module("127.0.0.1")).problem
    addresses.http_port = 41234
    assert addresses.advertised(module("127.0.0.1")).url == "http://127.0.0.1:41234"


def test_what_the_kernel_says():
    assert local_address("127.0.0.1") == IPv4Address("127.0.0.1")
    assert local_address("no address") is None
    table = (
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    )
    assert _routes(table) == (IPv4Address("172.18.0.1"), "eth0", (IPv4Network("172.18.0.0/16"),))
    assert _routes("") == (None, "", ())
    assert surroundings().host_name
