"""Ed25519 as in RFC 8032, only the check of a signature, in numbers of any size.

It lets others work in between: on a small board a check takes seconds. Nothing secret is computed here.
"""

import asyncio

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_WORD = 2**64 - 1


def _power(base, exponent, modulus):
    """pow(base, exponent, modulus), which not every board has."""
    result = 1
    while exponent:
        if exponent & 1:
            result = result * base % modulus
        base = base * base % modulus
        exponent >>= 1
    return result


def _inverse(value):
    return _power(value, _P - 2, _P)


_D = -121665 * _inverse(121666) % _P
_ROOT_OF_MINUS_1 = _power(2, (_P - 1) // 4, _P)


async def verify(public, message, signature):
    """Whether the owner of the 32 bytes `public` made these 64 bytes for the message."""
    key = _point(public)
    s = int.from_bytes(signature[32:], "little")
    if key is None or len(signature) != 64 or s >= _ORDER:
        return False
    hashed = sha512(signature[:32] + public + message)
    h = int.from_bytes(hashed, "little") % _ORDER
    x, y, z, t = key
    found = await _sum_of_products(s, _BASE, h, (-x % _P, y, z, -t % _P))
    return _packed(found) == signature[:32]


# Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, x*y = T/Z.


def _x_of(y, sign):
    """The x that belongs to y, or None when y is not on the curve."""
    square = (y * y - 1) * _inverse(_D * y * y + 1) % _P
    x = _power(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT_OF_MINUS_1 % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    return x if x & 1 == sign else _P - x


def _point(data):
    number = int.from_bytes(data, "little")
    y, sign = number & (2**255 - 1), number >> 255
    if len(data) != 32 or y >= _P:
        return None
    x = _x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % _P)


def _packed(point):
    x, y, z, _ = point
    inverse = _inverse(z)
    return (y * inverse % _P | (x * inverse % _P & 1) << 255).to_bytes(32, "little")


def _add(one, other):
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a, b = (y1 - x1) * (y2 - x2) % _P, (y1 + x1) * (y2 + x2) % _P
    c, d = 2 * t1 * t2 * _D % _P, 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _double(point):
    x, y, z, _ = point
    a, b = x * x % _P, y * y % _P
    h = a + b
    e, g = h - (x + y) * (x + y) % _P, a - b
    f = 2 * z * z % _P + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


async def _sum_of_products(one, point, other, by):
    """one * point + other * by, both at once, from the highest bit down."""
    both = _add(point, by)
    found = (0, 1, 1, 0)
    for bit in range(252, -1, -1):  # both are smaller than the order of the base point
        found = _double(found)
        choice = (one >> bit & 1) | (other >> bit & 1) << 1
        if choice:
            found = _add(found, (point, by, both)[choice - 1])
        if bit % 8 == 0:
            await asyncio.sleep(0)
    return found


_BASE = _point((4 * _inverse(5) % _P).to_bytes(32, "little"))


def _primes(count):
    found = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def _fraction_of_root(number, degree):
    """The first 64 bits behind the point of a square or cube root, which is what SHA-512 is made of."""
    wanted = number << 64 * degree
    low, high = 0, number << 64
    while low < high:
        middle = (low + high + 1) // 2
        if middle**degree <= wanted:
            low = middle
        else:
            high = middle - 1
    return low & _WORD


def _turned(word, by):
    return (word >> by | word << (64 - by)) & _WORD


def sha512(message):
    """For short messages: MicroPython has SHA-256 only."""
    primes = _primes(80)
    constants = [_fraction_of_root(prime, 3) for prime in primes]
    state = [_fraction_of_root(prime, 2) for prime in primes[:8]]
    message += b"\x80" + bytes((111 - len(message)) % 128) + (8 * len(message)).to_bytes(16, "big")
    for start in range(0, len(message), 128):
        state = _mixed(state, _schedule(message[start : start + 128]), constants)
    return b"".join(word.to_bytes(8, "big") for word in state)


def _schedule(block):
    words = [int.from_bytes(block[at : at + 8], "big") for at in range(0, 128, 8)]
    for at in range(16, 80):
        old, new = words[at - 15], words[at - 2]
        first = _turned(old, 1) ^ _turned(old, 8) ^ old >> 7
        second = _turned(new, 19) ^ _turned(new, 61) ^ new >> 6
        words.append(words[at - 16] + first + words[at - 7] + second & _WORD)
    return words


def _mixed(state, words, constants):
    a, b, c, d, e, f, g, h = state
    for at, word in enumerate(words):
        turn = _turned(e, 14) ^ _turned(e, 18) ^ _turned(e, 41)
        first = h + turn + (e & f ^ (_WORD ^ e) & g) + constants[at] + word
        turn = _turned(a, 28) ^ _turned(a, 34) ^ _turned(a, 39)
        second = turn + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = first + second & _WORD, a, b, c, d + first & _WORD, e, f, g
    return [state[at] + new & _WORD for at, new in enumerate((a, b, c, d, e, f, g, h))]
