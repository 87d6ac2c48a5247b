"""The gateway's offer of an image: read with suspicion, and checked against what only the two of us know."""

import binascii
from hashlib import sha256

LONGEST_WORD = 128
_OUTER, _INNER = 0x5C, 0x36


class Unfit(Exception):
    """This image is not for us, or not whole; the message is a sentence for people."""


class Offer:
    def __init__(self, said):
        """From the object on `down/firmware`; Unfit when something is missing or of the wrong kind."""
        self.job = _word(said, "job")
        self.serial = _word(said, "serial")
        self.version = _word(said, "version")
        self.digest = _digest(said)
        self.size = _number(said, "size", 512)
        self.issued = _number(said, "issued")
        self.type = _number(said, "type")
        self.hardware = _names(said.get("hardware") or [])
        self.signature = str(said.get("signature") or "")
        self.hmac = str(said.get("hmac") or "")
        self.url = str(said.get("url") or "")
        self.chunk_max = _number(said, "chunk_max", 256)
        self.probe = said.get("probe") if isinstance(said.get("probe"), dict) else None

    def image(self):
        """What the gateway is told once it runs."""
        return {"serial": self.serial, "version": self.version, "digest": "sha256:" + self.digest}


def _word(said, key):
    value = said.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_WORD:
        raise Unfit(f"the offer has no proper {key}")
    return value


def _names(value):
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise Unfit("the offer has no proper hardware")
    return value


def _number(said, key, least=0):
    value = said.get(key)
    if not isinstance(value, int) or value < least:
        raise Unfit(f"the offer has no proper {key}")
    return value


def _digest(said):
    kind, _, digits = _word(said, "digest").partition(":")
    try:
        if kind == "sha256" and len(binascii.unhexlify(digits)) == 32:
            return digits.lower()
    except ValueError:
        pass
    raise Unfit("the offer has no proper digest")


def check(offer, token, newest, type, hardware):
    """Unfit unless it comes from our gateway, is not an old one played back, and is for a board like this."""
    expected = binascii.hexlify(hmac_sha256(sha256(token.encode()).digest(), _sealed(offer))).decode()
    if not _same(expected, offer.hmac):
        raise Unfit("the offer does not come from our gateway: its hmac is wrong")
    if offer.issued < newest:
        raise Unfit("the offer is older than one that was accepted before")
    if offer.type != type:
        raise Unfit(f"the image is for type {offer.type}, this is type {type}")
    if offer.hardware and not any(_is_of(hardware.lower(), name.lower()) for name in offer.hardware):
        raise Unfit(f"the image is for {', '.join(offer.hardware)}, this is {hardware}")


def _is_of(hardware, name):
    """`board` takes in `board-rev2`; which chip is another one, the gateway has looked at."""
    return hardware == name or hardware.startswith((name + "-", name + "_"))


async def check_signature(offer, key):
    """Unfit unless the owner of this Ed25519 public key (base64) has signed the image for its type."""
    from . import ed25519  # loaded only where somebody asks for it

    hardware = ",".join(sorted(offer.hardware))
    message = _lines("passerelle image 1", offer.digest, offer.type, offer.version, hardware)
    try:
        public, signature = binascii.a2b_base64(key), binascii.a2b_base64(offer.signature)
    except ValueError:
        public = signature = b""
    if not await ed25519.verify(public, message, signature):
        raise Unfit("the image's signature is not by the key in settings.py")


def _sealed(offer):
    return _lines("passerelle offer 1", offer.job, offer.digest, offer.size, offer.version, offer.issued)


def _lines(*words):
    return "".join(f"{word}\n" for word in words).encode()


def hmac_sha256(key, message):
    """For keys of up to 64 bytes; MicroPython has no `hmac` of its own."""
    key = key + bytes(64 - len(key))
    inner = sha256(bytes(byte ^ _INNER for byte in key))
    inner.update(message)
    outer = sha256(bytes(byte ^ _OUTER for byte in key))
    outer.update(inner.digest())
    return outer.digest()


def _same(one, other):
    """How long this takes tells nobody how much of it was right."""
    return sha256(one.encode()).digest() == sha256(other.encode()).digest()
