"""The algorithms that docs/PROTOCOL.md names, in plain Python: slow, not in constant time, and only for checking vectors.

RFC 5869 (HKDF), RFC 8439 (ChaCha20-Poly1305), RFC 7748 (X25519), RFC 8032 (Ed25519), FIPS 203 (ML-KEM-768),
draft-connolly-cfrg-xwing-kem-06, Noise revision 34, RFC 9106 (Argon2id). SHA-2, SHA-3, BLAKE2b and HMAC are in the standard library.
"""

import hashlib
import hmac as _hmac
import struct


class Refused(Exception):
    """Something that must not pass did not pass."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def hmac(key, *parts):
    return _hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def hkdf(salt, ikm, info, length=32):
    prk, out, block = hmac(salt, ikm), b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac(prk, block, info, bytes([counter]))
        out += block
    return out[:length]


def derive(key, info):
    return hkdf(bytes(32), key, info)


# ChaCha20-Poly1305

def _chacha_block(key, counter, nonce):
    mask = 0xFFFFFFFF
    start = (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574) + key + (counter,) + nonce
    s = list(start)
    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                           (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            x, y, z, w = s[a], s[b], s[c], s[d]
            x = (x + y) & mask
            w ^= x
            w = (w << 16 | w >> 16) & mask
            z = (z + w) & mask
            y ^= z
            y = (y << 12 | y >> 20) & mask
            x = (x + y) & mask
            w ^= x
            w = (w << 8 | w >> 24) & mask
            z = (z + w) & mask
            y ^= z
            y = (y << 7 | y >> 25) & mask
            s[a], s[b], s[c], s[d] = x, y, z, w
    return struct.pack("<16L", *((a + b) & mask for a, b in zip(s, start)))


def _chacha(key, nonce, data):
    key, nonce = struct.unpack("<8L", key), struct.unpack("<3L", nonce)
    stream = b"".join(_chacha_block(key, 1 + n, nonce) for n in range(-(-len(data) // 64)))[:len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(data), "big")


def _tag(key, nonce, ciphertext, aad):
    one_time = _chacha_block(struct.unpack("<8L", key), 0, struct.unpack("<3L", nonce))
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    message = b"".join(part + bytes(-len(part) % 16) for part in (aad, ciphertext))
    message += struct.pack("<QQ", len(aad), len(ciphertext))
    total = 0
    for place in range(0, len(message), 16):
        total = (total + int.from_bytes(message[place:place + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(one_time[16:32], "little")) & (2**128 - 1)).to_bytes(16, "little")


def encrypt(key, nonce, aad, plaintext):
    ciphertext = _chacha(key, nonce, plaintext)
    return ciphertext + _tag(key, nonce, ciphertext, aad)


def decrypt(key, nonce, aad, sealed):
    if len(sealed) < 16 or _tag(key, nonce, sealed[:-16], aad) != sealed[-16:]:
        raise Refused("tag")
    return _chacha(key, nonce, sealed[:-16])


# Curve25519

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def x25519(scalar, point=(9).to_bytes(32, "little")):
    k = (int.from_bytes(scalar, "little") & ~7 & (2**255 - 1)) | 2**254
    u = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for bit in range(254, -1, -1):
        now = k >> bit & 1
        if now != swap:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = now
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        e = aa - bb
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def agree(scalar, point):
    shared = x25519(scalar, point)
    if shared == bytes(32):
        raise Refused("contributes nothing")
    return shared


def _add(a, b):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = a, b
    e, f = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    g, h = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def _multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point, scalar = _add(point, point), scalar >> 1
    return result


def _equal(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def _point(encoded):
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT % P
    if x * x % P != square:
        raise Refused("no point")
    if x & 1 != sign:
        x = -x % P
    return x, y % P, 1, x * y % P


def _encoded(point):
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = _point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def _challenge(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER


def _secret(seed):
    digest = hashlib.sha512(seed).digest()
    return (int.from_bytes(digest[:32], "little") & ~7 & (2**255 - 1)) & ~(1 << 255) | 2**254, digest[32:]


def verify_key(seed):
    return _encoded(_multiply(_secret(seed)[0], BASE))


def sign(seed, domain, message):
    return sign_plain(seed, bytes([len(domain)]) + domain + message)


def sign_plain(seed, signed):
    a, prefix = _secret(seed)
    r = _challenge(prefix, signed)
    big_r, key = _encoded(_multiply(r, BASE)), _encoded(_multiply(a, BASE))
    return big_r + ((r + _challenge(big_r, key, signed) * a) % ORDER).to_bytes(32, "little")


def is_usable_key(key):
    try:
        return not _equal(_multiply(8, _point(key)), (0, 1, 1, 0))
    except Refused:
        return False


def verifies(key, domain, message, signature):
    """Strictly: no key and no R of small order, S below the order, the equation without the cofactor."""
    if len(signature) != 64 or not is_usable_key(key) or not is_usable_key(signature[:32]):
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= ORDER:
        return False
    k = _challenge(signature[:32], key, bytes([len(domain)]) + domain + message)
    return _equal(_multiply(s, BASE), _add(_point(signature[:32]), _multiply(k, _point(key))))


# ML-KEM-768 and X-Wing

Q, K = 3329, 3


def _reversed7(n):
    return int(f"{n:07b}"[::-1], 2)


ZETA = [pow(17, _reversed7(n), Q) for n in range(128)]
GAMMA = [pow(17, 2 * _reversed7(n) + 1, Q) for n in range(128)]


def _ntt(f):
    f, place, length = list(f), 1, 128
    while length >= 2:
        for start in range(0, 256, 2 * length):
            zeta, place = ZETA[place], place + 1
            for j in range(start, start + length):
                t = zeta * f[j + length] % Q
                f[j + length], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
        length //= 2
    return f


def _inverse_ntt(f):
    f, place, length = list(f), 127, 2
    while length <= 128:
        for start in range(0, 256, 2 * length):
            zeta, place = ZETA[place], place - 1
            for j in range(start, start + length):
                t = f[j]
                f[j], f[j + length] = (t + f[j + length]) % Q, zeta * (f[j + length] - t) % Q
        length *= 2
    return [x * 3303 % Q for x in f]


def _product(f, g):
    h = []
    for i in range(128):
        a0, a1, b0, b1 = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        h += [(a0 * b0 + a1 * b1 * GAMMA[i]) % Q, (a0 * b1 + a1 * b0) % Q]
    return h


def _sum(f, g):
    return [(a + b) % Q for a, b in zip(f, g)]


def _matrix(rho):
    def entry(i, j):
        stream = hashlib.shake_128(rho + bytes([j, i])).digest(3 * 448)
        a = []
        for place in range(0, len(stream), 3):
            b0, b1, b2 = stream[place:place + 3]
            a += [d for d in (b0 | (b1 & 15) << 8, b1 >> 4 | b2 << 4) if d < Q]
        return a[:256]

    return [[entry(i, j) for j in range(K)] for i in range(K)]


def _noise(seed, n):
    bits = int.from_bytes(hashlib.shake_256(seed + bytes([n])).digest(128), "little")
    return [((bits >> 4 * i & 1) + (bits >> 4 * i + 1 & 1) - (bits >> 4 * i + 2 & 1) - (bits >> 4 * i + 3 & 1)) % Q
            for i in range(256)]


def _pack(f, width):
    return sum(x << width * i for i, x in enumerate(f)).to_bytes(32 * width, "little")


def _unpack(data, width):
    number = int.from_bytes(data, "little")
    return [number >> width * i & (1 << width) - 1 for i in range(256)]


def _compress(f, width):
    return [(2 * x * 2**width + Q) // (2 * Q) % 2**width for x in f]


def _decompress(f, width):
    return [(2 * x * Q + 2**width) // 2**(width + 1) for x in f]


def mlkem_generate(d, z):
    seeds = hashlib.sha3_512(d + bytes([K])).digest()
    rho, sigma = seeds[:32], seeds[32:]
    matrix = _matrix(rho)
    s = [_ntt(_noise(sigma, n)) for n in range(K)]
    e = [_ntt(_noise(sigma, K + n)) for n in range(K)]
    t = []
    for i in range(K):
        row = e[i]
        for j in range(K):
            row = _sum(row, _product(matrix[i][j], s[j]))
        t.append(row)
    public = b"".join(_pack(f, 12) for f in t) + rho
    return public, (s, public, z)


def _mlkem_encrypt(public, message, randomness):
    t = [_unpack(public[384 * i:384 * (i + 1)], 12) for i in range(K)]
    matrix = _matrix(public[384 * K:])
    y = [_ntt(_noise(randomness, n)) for n in range(K)]
    ciphertext = b""
    for i in range(K):
        u = [0] * 256
        for j in range(K):
            u = _sum(u, _product(matrix[j][i], y[j]))
        ciphertext += _pack(_compress(_sum(_inverse_ntt(u), _noise(randomness, K + i)), 10), 10)
    v = [0] * 256
    for j in range(K):
        v = _sum(v, _product(t[j], y[j]))
    v = _sum(_sum(_inverse_ntt(v), _noise(randomness, 2 * K)), _decompress(_unpack(message, 1), 1))
    return ciphertext + _pack(_compress(v, 4), 4)


def mlkem_is_canonical(public):
    return all(x < Q for i in range(K) for x in _unpack(public[384 * i:384 * (i + 1)], 12))


def mlkem_encapsulate(public, message):
    seeds = hashlib.sha3_512(message + hashlib.sha3_256(public).digest()).digest()
    return _mlkem_encrypt(public, message, seeds[32:]), seeds[:32]


def mlkem_decapsulate(secret, ciphertext):
    s, public, z = secret
    u = [_decompress(_unpack(ciphertext[320 * i:320 * (i + 1)], 10), 10) for i in range(K)]
    v = _decompress(_unpack(ciphertext[320 * K:], 4), 4)
    w = [0] * 256
    for j in range(K):
        w = _sum(w, _product(s[j], _ntt(u[j])))
    message = _pack(_compress([(a - b) % Q for a, b in zip(v, _inverse_ntt(w))], 1), 1)
    again, shared = mlkem_encapsulate(public, message)
    return shared if again == ciphertext else hashlib.shake_256(z + ciphertext).digest(32)


def _xwing_secret(ss_m, ss_x, ct_x, pk_x):
    return hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + rb"\.//^" + b"\\").digest()


def xwing_expand(seed):
    expanded = hashlib.shake_256(seed).digest(96)
    public, secret = mlkem_generate(expanded[:32], expanded[32:64])
    return public + x25519(expanded[64:]), secret, expanded[64:]


def xwing_is_usable(public):
    return x25519(b"\1" * 32, public[-32:]) != bytes(32) and mlkem_is_canonical(public[:-32])


def xwing_encapsulate(public, seed):
    if not xwing_is_usable(public):
        raise Refused("X-Wing key")
    ct_m, ss_m = mlkem_encapsulate(public[:-32], seed[:32])
    ct_x, ss_x = x25519(seed[32:]), agree(seed[32:], public[-32:])
    return ct_m + ct_x, _xwing_secret(ss_m, ss_x, ct_x, public[-32:])


def xwing_decapsulate(seed, ciphertext):
    public, secret, scalar = xwing_expand(seed)
    ss_x = agree(scalar, ciphertext[-32:])
    return _xwing_secret(mlkem_decapsulate(secret, ciphertext[:-32]), ss_x, ciphertext[-32:], public[-32:])


# Noise

PATTERNS = {
    "XX": ((), (), (("e",), ("e", "ee", "s", "es"), ("s", "se"))),
    "XXpsk0": ((), (), (("psk", "e"), ("e", "ee", "s", "es"), ("s", "se"))),
    "KKpsk0": (("s",), ("s",), (("psk", "e", "es", "ss"), ("e", "ee", "se"))),
}


class Noise:
    """One side of a handshake. Turns: 0 the initiator, 1 the responder."""

    def __init__(self, pattern, turn, prologue, psk, static, ephemeral, remote_static=None):
        self.turn, self.psk, self.s, self.e, self.rs, self.re = turn, psk, static, ephemeral, remote_static, None
        name = f"Noise_{pattern}_25519_ChaChaPoly_SHA256".encode()
        self.h = name + bytes(32 - len(name)) if len(name) <= 32 else sha256(name)
        self.ck, self.k, self.n = self.h, None, 0
        self._mix_hash(prologue)
        known = PATTERNS[pattern]
        for side, keys in enumerate(known[:2]):
            for _ in keys:
                self._mix_hash(x25519(self.s) if side == turn else self.rs)
        self.messages = list(known[2])

    def _mix_hash(self, data):
        self.h = sha256(self.h, data)

    def _mix_key(self, ikm):
        out = hkdf(self.ck, ikm, b"", 64)
        self.ck, self.k, self.n = out[:32], out[32:], 0

    def _mix_ephemeral(self, key):
        self._mix_hash(key)
        if self.psk is not None:
            self._mix_key(key)

    def _nonce(self):
        self.n += 1
        return bytes(4) + (self.n - 1).to_bytes(8, "little")

    def _encrypt(self, plaintext):
        data = plaintext if self.k is None else encrypt(self.k, self._nonce(), self.h, plaintext)
        self._mix_hash(data)
        return data

    def _decrypt(self, data):
        plaintext = data if self.k is None else decrypt(self.k, self._nonce(), self.h, data)
        self._mix_hash(data)
        return plaintext

    def _token(self, token):
        if token == "psk":
            out = hkdf(self.ck, self.psk, b"", 96)
            self.ck, self.k, self.n = out[:32], out[64:], 0
            self._mix_hash(out[32:64])
            return
        first, second = token if self.turn == 0 else token[::-1]
        self._mix_key(agree(self.e if first == "e" else self.s, self.re if second == "e" else self.rs))

    def write(self, payload):
        out = b""
        for token in self.messages.pop(0):
            if token == "e":
                out += x25519(self.e)
                self._mix_ephemeral(x25519(self.e))
            elif token == "s":
                out += self._encrypt(x25519(self.s))
            else:
                self._token(token)
        return out + self._encrypt(payload)

    def read(self, message):
        for token in self.messages.pop(0):
            size = 32 if token == "e" else 32 + 16 * (self.k is not None)
            if token in ("e", "s") and len(message) < size:
                raise Refused("short")
            if token == "e":
                self.re, message = message[:32], message[32:]
                self._mix_ephemeral(self.re)
            elif token == "s":
                self.rs, message = self._decrypt(message[:size]), message[size:]
            else:
                self._token(token)
        return self._decrypt(message)

    def split(self):
        out = hkdf(self.ck, b"", b"", 64)
        return out[:32], out[32:]


# Argon2id: minutes at the default cost

def argon2id(passphrase, salt, memory_kib, passes, lanes, length=32, secret=b"", associated=b""):
    mask = 2**64 - 1

    def le32(number):
        return number.to_bytes(4, "little")

    def h_long(size, data):
        data = le32(size) + data
        if size <= 64:
            return hashlib.blake2b(data, digest_size=size).digest()
        out, block = b"", hashlib.blake2b(data).digest()
        while size - len(out) > 64:
            out += block[:32]
            size_left = size - len(out)
            block = hashlib.blake2b(block, digest_size=min(64, size_left)).digest()
        return out + block

    def permute(v):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                           (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            w, x, y, z = v[a], v[b], v[c], v[d]
            w = w + x + 2 * (w & 0xFFFFFFFF) * (x & 0xFFFFFFFF) & mask
            z ^= w
            z = z >> 32 | (z & 0xFFFFFFFF) << 32
            y = y + z + 2 * (y & 0xFFFFFFFF) * (z & 0xFFFFFFFF) & mask
            x ^= y
            x = x >> 24 | (x & 0xFFFFFF) << 40
            w = w + x + 2 * (w & 0xFFFFFFFF) * (x & 0xFFFFFFFF) & mask
            z ^= w
            z = z >> 16 | (z & 0xFFFF) << 48
            y = y + z + 2 * (y & 0xFFFFFFFF) * (z & 0xFFFFFFFF) & mask
            x ^= y
            x = x >> 63 | (x << 1) & mask
            v[a], v[b], v[c], v[d] = w, x, y, z
        return v

    columns = [[16 * row + 2 * i + k for row in range(8) for k in (0, 1)] for i in range(8)]

    def compress(x, y):
        r = [a ^ b for a, b in zip(x, y)]
        q = []
        for row in range(8):
            q += permute(r[16 * row:16 * row + 16])
        for places in columns:
            for place, value in zip(places, permute([q[place] for place in places])):
                q[place] = value
        return [a ^ b for a, b in zip(r, q)]

    h0 = hashlib.blake2b(le32(lanes) + le32(length) + le32(memory_kib) + le32(passes) + le32(0x13) + le32(2)
                         + le32(len(passphrase)) + passphrase + le32(len(salt)) + salt
                         + le32(len(secret)) + secret + le32(len(associated)) + associated).digest()
    width = memory_kib // (4 * lanes) * 4
    segment = width // 4
    memory = [[None] * width for _ in range(lanes)]
    for lane in range(lanes):
        for column in (0, 1):
            memory[lane][column] = list(struct.unpack("<128Q", h_long(1024, h0 + le32(column) + le32(lane))))
    zero = [0] * 128
    for turn in range(passes):
        for part in range(4):
            for lane in range(lanes):
                blind = turn == 0 and part < 2
                counter, addresses = 0, None
                for index in range(segment):
                    if blind and index % 128 == 0:
                        counter += 1
                        head = [turn, lane, part, lanes * width, passes, 2, counter] + [0] * 121
                        addresses = compress(zero, compress(zero, head))
                    if turn == 0 and part == 0 and index < 2:
                        continue
                    column = part * segment + index
                    before = memory[lane][column - 1]
                    pseudo = addresses[index % 128] if blind else before[0]
                    j1, j2 = pseudo & 0xFFFFFFFF, pseudo >> 32
                    where = lane if turn == 0 and part == 0 else j2 % lanes
                    if turn == 0:
                        area = part * segment + (index - 1 if where == lane else (-1 if index == 0 else 0))
                        start = 0
                    else:
                        area = width - segment + (index - 1 if where == lane else (-1 if index == 0 else 0))
                        start = (part + 1) * segment % width
                    z = area - 1 - (area * (j1 * j1 >> 32) >> 32)
                    block = compress(before, memory[where][(start + z) % width])
                    old = memory[lane][column]
                    memory[lane][column] = block if old is None else [a ^ b for a, b in zip(block, old)]
    last = memory[0][width - 1]
    for lane in range(1, lanes):
        last = [a ^ b for a, b in zip(last, memory[lane][width - 1])]
    return h_long(length, struct.pack("<128Q", *last))
