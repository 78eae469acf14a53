"""Crafts `salamander.json`: one ciphertext and tag that ChaCha20-Poly1305 opens under two keys.

Poly1305 is a polynomial in r, so that one free block of ciphertext can be solved for two keys at once. Only the standard
library is used, and none of this project's code: the derivations below follow the description of sealing alone.
"""

import hashlib
import hmac
import json
import struct
from pathlib import Path

PRIME = (1 << 130) - 5
DOMAIN = b"allod/cell/1"
NONCE = bytes(range(24))
AAD = b"\x04cell" + b"the place that both keys believe in"


def hkdf(salt, ikm, info, length):
    prk = hmac.new(salt, ikm, hashlib.sha256).digest()
    out, block = b"", b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.new(prk, block + info + bytes([number]), hashlib.sha256).digest()
        out += block
    return out[:length]


def chacha20_block(key, counter, nonce):
    def rotated(value, bits):
        return ((value << bits) | (value >> (32 - bits))) & 0xFFFFFFFF

    start = list(struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce))
    state = start[:]
    quarters = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]
    quarters += [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
    for _ in range(10):
        for a, b, c, d in quarters:
            for x, y, z, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                state[x] = (state[x] + state[y]) & 0xFFFFFFFF
                state[z] = rotated(state[z] ^ state[x], bits)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(state, start)))


def decrypted(key, ciphertext):
    out = b""
    for index in range(0, len(ciphertext), 64):
        stream = chacha20_block(key, 1 + index // 64, bytes(12))
        out += bytes(a ^ b for a, b in zip(ciphertext[index : index + 64], stream))
    return out


def padded(data):
    return data + bytes(-len(data) % 16)


def poly_key(key):
    block = chacha20_block(key, 0, bytes(12))
    r = int.from_bytes(block[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    return r, int.from_bytes(block[16:32], "little")


def polynomial(r, blocks):
    total = 0
    for block in blocks:
        total = (total + block + (1 << 128)) * r % PRIME
    return total


def collision(keys, aad_hash):
    """32 bytes of ciphertext: the first block counts up until the second can be solved."""
    (r1, s1), (r2, s2) = map(poly_key, keys)
    head = [int.from_bytes(aad_hash[i : i + 16], "little") for i in (0, 16)]
    lengths = int.from_bytes(struct.pack("<QQ", len(aad_hash), 32), "little")
    for first in range(1 << 16):
        # Without the second block's own value: its place counts as 2^128, which `polynomial` adds.
        known1, known2 = (polynomial(r, [*head, first, 0, lengths]) for r in (r1, r2))
        slope = (r1 * r1 - r2 * r2) % PRIME
        for carry in range(-4, 5):
            second = (known2 + s2 - known1 - s1 + (carry << 128)) * pow(slope, -1, PRIME) % PRIME
            if second >= 1 << 128:
                continue
            tags = [(polynomial(r, [*head, first, second, lengths]) + s) % (1 << 128) for r, s in ((r1, s1), (r2, s2))]
            if tags[0] == tags[1]:
                ciphertext = first.to_bytes(16, "little") + second.to_bytes(16, "little")
                return ciphertext, tags[0].to_bytes(16, "little")
    raise SystemExit("no collision found")


def main():
    keys = [hashlib.sha256(name).digest() for name in (b"one key", b"another key")]
    aad_hash = hashlib.sha256(AAD).digest()
    info = bytes([len(DOMAIN)]) + DOMAIN + b"\x01" + struct.pack("<H", 2) + aad_hash
    derived = [hkdf(NONCE, key, info, 64) for key in keys]
    ciphertext, tag = collision([okm[:32] for okm in derived], aad_hash)
    header = b"\x01" + struct.pack("<H", 2) + NONCE
    vector = {
        "about": "One ciphertext that opens under two keys; made by craft_salamander.py. The commitment must refuse it.",
        "domain": DOMAIN.decode(),
        "aad": AAD.hex(),
        "keys": [key.hex() for key in keys],
        "cipher_keys": [okm[:32].hex() for okm in derived],
        "ciphertext_and_tag": (ciphertext + tag).hex(),
        "plaintexts": [decrypted(okm[:32], ciphertext).hex() for okm in derived],
        "sealed": [(header + okm[32:] + ciphertext + tag).hex() for okm in derived],
    }
    Path(__file__).with_name("salamander.json").write_text(json.dumps(vector, indent=2) + "\n")


main()
