"""Sections 3 and 7 of docs/PROTOCOL.md: sealing, chains, and the keys of a relationship."""

from primitives import Refused, decrypt, derive, encrypt, hkdf, hmac, sha256

# 3.1 Sealing


def padme(length):
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    step = 1 << max(0, exponent - exponent.bit_length())
    return -(-length // step) * step


def _padded(plaintext):
    body = len(plaintext).to_bytes(4, "little") + plaintext
    return body + bytes(max(256, padme(len(body))) - len(body))


def hedged_nonce(key, aad, plaintext, fresh):
    return hmac(derive(key, b"allod/hedge/1"), fresh, sha256(aad), sha256(plaintext))[:24]


def _committed(key, domain, suite, nonce, aad):
    domain = domain.encode()
    info = bytes([len(domain)]) + domain + b"\1" + suite.to_bytes(2, "little") + sha256(aad)
    out = hkdf(nonce, key, info, 64)
    return out[:32], out[32:]


def seal(key, domain, aad, plaintext, padding, nonce):
    body = _padded(plaintext) if padding == "padme" else plaintext
    suite = 2 if len(body) <= 65_536 else 3
    cipher_key, commitment = _committed(key, domain, suite, nonce, aad)
    head = b"\1" + suite.to_bytes(2, "little") + nonce + commitment
    if suite == 2:
        return head + encrypt(cipher_key, bytes(12), sha256(aad), body)
    chunks = [body[place:place + 65_536] for place in range(0, len(body), 65_536)]
    for i, chunk in enumerate(chunks):
        index, last = i.to_bytes(4, "little"), bytes([i == len(chunks) - 1])
        head += encrypt(cipher_key, index + bytes(8), sha256(aad) + index + last, chunk)
    return head


def unseal(key, domain, aad, sealed, padding):
    if len(sealed) < 59 or sealed[0] != 1 or sealed[1:3] not in (b"\2\0", b"\3\0"):
        raise Refused("forged")
    suite = sealed[1]
    cipher_key, commitment = _committed(key, domain, suite, sealed[3:27], aad)
    if commitment != sealed[27:59]:
        raise Refused("forged")
    rest = sealed[59:]
    try:
        if suite == 2:
            body = decrypt(cipher_key, bytes(12), sha256(aad), rest)
        else:
            chunks = [rest[place:place + 65_552] for place in range(0, len(rest), 65_552)]
            body = b""
            for i, chunk in enumerate(chunks):
                index, last = i.to_bytes(4, "little"), bytes([i == len(chunks) - 1])
                body += decrypt(cipher_key, index + bytes(8), sha256(aad) + index + last, chunk)
    except Refused:
        raise Refused("forged") from None
    if (len(body) > 65_536) != (suite == 3):
        raise Refused("forged")
    if padding == "none":
        return body
    length = int.from_bytes(body[:4], "little")
    if len(body) < 4 or length > len(body) - 4 or _padded(body[4:4 + length]) != body:
        raise Refused("forged")
    return body[4:4 + length]


def sealed_with(fresh, key, domain, bound_to, plaintext, padding):
    return seal(key, domain, bound_to, plaintext, padding, hedged_nonce(key, bound_to, plaintext, fresh))


def aad(kind, *parts):
    return bytes([len(kind)]) + kind + b"".join(parts)


def u32(n):
    return n.to_bytes(4, "little")


def u64(n):
    return n.to_bytes(8, "little")


# 3.3, 7. Keys


def chain_step(chain, log, sequence):
    out = hkdf(bytes(32), chain, b"allod/chain/1" + log + u64(sequence), 96)
    return out[:32], out[32:64], out[64:]


SCHEDULE = {"session_psk": "session-psk", "rekey_key": "rekey", "chain_inviter": "chain-inviter",
            "chain_scanner": "chain-scanner", "hint_key": "hint", "restore_psk": "restore-psk", "profile_key": "profile",
            "confirm_inviter": "confirm-inviter", "confirm_scanner": "confirm-scanner"}


def schedule(rs):
    return {name: derive(rs, b"allod/rs/" + info.encode() + b"/1") for name, info in SCHEDULE.items()}
