"""Sections 5 and 6 of docs/PROTOCOL.md: invitations, bundles, and the handshake from both sides' secrets."""

from primitives import (Noise, Refused, derive, hkdf, hmac, is_usable_key, sha256, sign, verify_key, x25519, xwing_encapsulate,
                        xwing_expand, xwing_is_usable)
from sealing import aad, schedule, sealed_with, u64

# 5. Invitation

BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def _is_host_name(name):
    labels = name.split(".")
    plain = set("abcdefghijklmnopqrstuvwxyz0123456789-")
    return len(name) <= 253 and all(1 <= len(label) <= 63 and set(label) <= plain and "-" not in (label[0], label[-1])
                                    for label in labels)


def read_invitation(text):
    text = text.strip()
    if len(text.encode()) > 1024:
        raise Refused("TooLong")
    if text[:6].upper() != "ALLOD:":
        raise Refused("NotAnInvitation")
    bits, count, whole = 0, 0, bytearray()
    for letter in text[6:].upper():
        if letter in " \t\n\r\f":
            continue
        if letter not in BASE32:
            raise Refused("Damaged")
        bits, count = bits << 5 | BASE32.index(letter), count + 5
        if count >= 8:
            count -= 8
            whole.append(bits >> count)
            bits &= (1 << count) - 1
    invitation = _parse_invitation(bytes(whole))
    if bits or count >= 5:
        raise Refused("Damaged")
    return invitation


def _parse_invitation(data):
    summed = len(data) >= 4 and sha256(data[:-4])[:4] == data[-4:]
    if data and data[0] != 1:
        raise Refused("Newer" if data[0] > 1 and summed else "Damaged")
    place = 0

    def take(count):
        nonlocal place
        if count > len(data) - place:
            raise Refused("CutShort")
        place += count
        return data[place - count:place]

    take(1)
    secret, bundle_hash, expires = take(32), take(32), int.from_bytes(take(8), "little")
    count, addresses = take(1)[0], []
    if count > 2:
        raise Refused("Damaged")
    for _ in range(count):
        kind = take(1)[0]
        if kind not in (1, 4, 6):
            raise Refused("Damaged")
        host = take({4: 4, 6: 16}[kind]) if kind != 1 else take(take(1)[0])
        transport = take(1)[0]
        if transport not in (1, 2):
            raise Refused("Damaged")
        addresses.append((kind, host, transport, int.from_bytes(take(2), "little")))
    take(4)
    names = [host.decode("utf-8", "replace") for kind, host, _, _ in addresses if kind == 1]
    if place != len(data) or not summed or any(port == 0 for *_, port in addresses) or not all(map(_is_host_name, names)):
        raise Refused("Damaged")
    return {"raw": data, "secret": secret, "bundle_hash": bundle_hash, "expires": expires, "addresses": addresses,
            "hash": sha256(data), "psk": derive(secret, b"allod/pair/psk/1")}


# 6. Pairing

BUNDLE_BYTES = 1313


def is_usable_bundle(bundle):
    return (len(bundle) == BUNDLE_BYTES and bundle[0] == 1 and is_usable_key(bundle[1:33])
            and x25519(b"\1" * 32, bundle[33:65]) != bytes(32) and xwing_is_usable(bundle[65:1281]))


def compared(nonce_s, nonce_i, bundle_i, bundle_s):
    """The 42 bits: places in the lists of emoji and of words."""
    code = hkdf(bytes(32), nonce_s + nonce_i, b"allod/sas-code/1" + sha256(bundle_i, bundle_s) + b"\1\2", 6)
    bits = int.from_bytes(code, "big") >> 6
    return [bits >> 36 - 6 * i & 63 for i in range(7)], [bits >> 35 - 7 * i & 127 for i in range(6)]


class Dice:
    """SHA256(seed:u8 ‖ n:u64), n = 0, 1, …, one after the other."""

    def __init__(self, seed):
        self.seed, self.block, self.rest = seed, 0, b""

    def take(self, count):
        while len(self.rest) < count:
            self.rest += sha256(bytes([self.seed]), u64(self.block))
            self.block += 1
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken


def ephemeral(fresh, static):
    return hmac(hkdf(bytes(32), fresh + static, b"allod/noise-dice/1"), u64(0))


def paired(invitation, secrets):
    """The whole handshake from both sides' secrets and dice: messages, RS_0, tag, code and the two split keys."""
    invitation = read_invitation(invitation)
    sides = []
    for secret in secrets:
        public = xwing_expand(secret[64:96])[0]
        bundle = b"\1" + verify_key(secret[:32]) + x25519(secret[32:64]) + public + secret[96:]
        sides.append((secret, bundle))
    (inviter, bundle_i), (scanner, bundle_s) = sides
    dice = {seed: Dice(seed) for seed in range(2, 7)}
    prologue, psk = invitation["hash"] + b"\1\2", invitation["psk"]
    noise_i = Noise("XXpsk0", 1, prologue, psk, inviter[32:64], ephemeral(dice[2].take(32), inviter[32:64]))
    noise_s = Noise("XXpsk0", 0, prologue, psk, scanner[32:64], ephemeral(dice[3].take(32), scanner[32:64]))
    n_i, n_s = dice[2].take(32), dice[3].take(32)
    first = noise_s.write(sha256(b"allod/sas/1", n_s, bundle_s))
    noise_i.read(first)
    second = noise_i.write(bundle_i + n_i)
    noise_s.read(second)
    if sha256(bundle_i) != invitation["bundle_hash"] or noise_s.rs != bundle_i[33:65]:
        raise Refused("not the inviter")
    ct_a, ss_a = xwing_encapsulate(bundle_i[65:1281], dice[4].take(64))
    third = noise_s.write(n_s + bundle_s + ct_a)
    noise_i.read(third)
    ct_b, ss_b = xwing_encapsulate(bundle_s[65:1281], dice[5].take(64))
    said = bundle_i + bundle_s + ct_a + ct_b
    h, (split1, split2) = noise_i.h, noise_i.split()
    rs = hkdf(h, split1 + split2 + ss_a + ss_b, b"allod/rs/1" + sha256(said))
    tag = sha256(h, invitation["hash"], said)
    keys = schedule(rs)

    def last(number, role, seed, split, fresh, before):
        by = tag + bytes([role])
        proof = sign(seed, b"allod/pair/signature/1", by) + hmac(keys[("confirm_inviter", "confirm_scanner")[role - 1]], by)
        key = derive(split, b"allod/pair/message/1" + bytes([number]) + h)
        return sealed_with(fresh, key, "allod/pairing-message/1", aad(b"pairing-message", h, bytes([number])), before + proof,
                           "none")

    fourth = last(4, 1, inviter[:32], split2, dice[5].take(32), ct_b)
    fifth = last(5, 2, scanner[:32], split1, dice[6].take(32), b"")
    return {"bundles": [bundle_i, bundle_s], "messages": [first, second, third, fourth, fifth], "tag": tag, "keys": keys,
            "code": compared(n_s, n_i, bundle_i, bundle_s)}
