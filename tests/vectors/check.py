#!/usr/bin/env python3
"""Computes every vector of crypto/vectors and protocol/vectors again, from docs/PROTOCOL.md, and compares.

    check.py [--only NAME.json] [--slow] [FOLDER…]

Python 3.9 or newer and its standard library. Exits 1 if anything differs. A folder is named CRATE/vectors. `--slow` also computes Argon2id
at its default cost, which takes a minute here; without it the passphrase key is taken from the opened vault.
"""

import argparse
import json
import pathlib
import sys
import traceback

sys.dont_write_bytecode = True

import pairing
from codec import (BODIES, CAPS, CELL_CONTENT, PAIR_ANSWER, PAIR_REQUEST, PROFILE, RESUMPTION, SELECTOR, SESSION_ANSWER, SESSION_REQUEST,
                   SYNC, WIRE_BODY, Reader, decode, encode, is_canonical, raw, read_body, selector_text)
from holder import (CROCKFORD, GRANT_KIND, SERVED, Holder, Window, answer_hello, cell_aad, entry_aad, head_layout, header_hash, hint_tag,
                    open_cell, pseudonym, record_key, shown_pseudonym, take_request, takes_hint)
from pairing import Dice, ephemeral, paired, read_invitation
from primitives import (Noise, Refused, argon2id, decrypt, derive, hkdf, sha256, sign, verify_key, verifies, x25519,
                        xwing_decapsulate, xwing_encapsulate, xwing_expand)
from sealing import aad, chain_step, schedule, sealed_with, u32, u64, unseal

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/PROTOCOL.md").read_text(encoding="utf-8")


class Differs(Exception):
    pass


class Check:
    """Counts what agrees, and stops at the first difference of a file."""

    def __init__(self):
        self.agreed = self.refusals = 0

    def same(self, what, made, stored):
        made = made.hex() if isinstance(made, bytes) else made
        if made != stored:
            raise Differs(f"{what}: computed {str(made)[:120]}, the file says {str(stored)[:120]}")
        self.agreed += 1

    def refused(self, what, word, act, *arguments):
        try:
            outcome = act(*arguments)
        except Refused as refusal:
            outcome = str(refusal)
        if outcome != word:
            raise Differs(f"{what}: {str(outcome)[:120]}, the file says {word}")
        self.refusals += 1


def un(text):
    return bytes.fromhex(text)


def vector_dice(name):
    return sha256(b"vector dice ", name.encode())


# crypto/vectors


def crypto_seal(check, file, _):
    for case in file["vectors"]:
        plain = un(case["plaintext"]) if "plaintext" in case else bytes(i % 251 for i in range(case["plaintext_length"]))
        parts = un(case["key"]), case["domain"], un(case["aad"])
        sealed = sealed_with(un(case["dice"]), *parts, plain, case["padding"])
        if "sealed" in case:
            check.same(case["name"], sealed, case["sealed"])
        else:
            check.same(case["name"], len(sealed), case["sealed_length"])
            check.same(case["name"], sha256(sealed), case["sealed_sha256"])
        check.same(case["name"], unseal(*parts, sealed, case["padding"]), plain.hex())
    for case in file["refused"]:
        check.refused(case["name"], "forged", unseal, un(case["key"]), case["domain"], un(case["aad"]), un(case["sealed"]),
                      case["padding"])
        check.same(case["name"], "OpenError", case["refusal"])


def crypto_salamander(check, file, _):
    keys, bound_to, both = [un(key) for key in file["keys"]], un(file["aad"]), un(file["ciphertext_and_tag"])
    for mine, sealed in enumerate(map(un, file["sealed"])):
        domain = file["domain"].encode()
        info = bytes([len(domain)]) + domain + sealed[:3] + sha256(bound_to)
        okm = hkdf(sealed[3:27], keys[mine], info, 64)
        check.same("cipher key", okm[:32], file["cipher_keys"][mine])
        check.same("one ciphertext", sealed[59:], both.hex())
        check.same("the cipher takes it", decrypt(okm[:32], bytes(12), sha256(bound_to), both), file["plaintexts"][mine])
        check.same("opens", unseal(keys[mine], file["domain"], bound_to, sealed, "none"), file["plaintexts"][mine])
        check.refused("the other key", "forged", unseal, keys[1 - mine], file["domain"], bound_to, sealed, "none")


def crypto_chain(check, file, _):
    for step in file["steps"] + file["differs"]:
        made = chain_step(un(step["chain"]), un(step["log_id"]), step["sequence"])
        for name, value in zip(("next", "body_key", "payload_key"), made):
            check.same(name, value, step[name])
    check.same("chained", [step["next"] for step in file["steps"][:2]], [step["chain"] for step in file["steps"][1:]])
    part = {name: un(value) for name, value in file["rekey"].items() if name != "schedule"}
    rs = hkdf(part["rekey_key"], part["for_inviter"] + part["for_scanner"], b"allod/rs-next/1" + sha256(part["context"]))
    check.same("schedule", {name: key.hex() for name, key in schedule(rs).items()}, file["rekey"]["schedule"])
    part = file["resumed"]
    sides = [part["inviter"], part["scanner"]]
    chains, logs = (b"".join(un(side[name]) for side in sides) for name in ("chain", "log_id"))
    rs = hkdf(un(part["restore_psk"]), chains, b"allod/rs-resumed/1" + logs)
    check.same("resumed", {name: key.hex() for name, key in schedule(rs).items()}, part["schedule"])


def crypto_invitation(check, file, _):
    for case in file["vectors"]:
        made = b"\1" + un(case["secret"]) + un(case["bundle_hash"]) + u64(case["expires_unix_s"])
        made += bytes([len(case["addresses"])])
        for address in case["addresses"]:
            made += _host(address["host"]) + bytes([{"tcp": 1, "quic": 2}[address["transport"]]])
            made += address["port"].to_bytes(2, "little")
        made += sha256(made)[:4]
        check.same(case["name"], made, case["raw"])
        number = int.from_bytes(made, "big") << -8 * len(made) % 5
        letters = -(-8 * len(made) // 5)
        text = "".join(pairing.BASE32[number >> 5 * place & 31] for place in range(letters - 1, -1, -1))
        check.same(case["name"], "ALLOD:" + text, case["text"])
        read = read_invitation("  " + case["text"].lower()[:20] + " \n" + case["text"][20:])
        for name in ("raw", "hash", "psk", "secret", "bundle_hash"):
            check.same(case["name"], read[name], case[name])
    for case in file["refused"]:
        check.refused(case["name"], case["refusal"], read_invitation, case["text"])


def _host(host):
    if host.count(".") == 3 and host.replace(".", "").isdigit():
        return b"\4" + bytes(map(int, host.split(".")))
    if ":" in host:
        head, _, tail = host.partition("::")
        head, tail = ([int(part, 16) for part in half.split(":")] if half else [] for half in (head, tail))
        groups = head + [0] * (8 - len(head) - len(tail)) + tail
        return b"\6" + b"".join(group.to_bytes(2, "big") for group in groups)
    return b"\1" + bytes([len(host)]) + host.encode()


def crypto_noise(check, file, _):
    for case in file["vectors"]:
        pattern = case["protocol_name"].split("_")[1]
        sides = []
        for turn, side in enumerate(("init", "resp")):
            remote = case.get(f"{side}_remote_static")
            sides.append(Noise(pattern, turn, un(case[f"{side}_prologue"]), un(case[f"{side}_psks"][0]),
                               un(case[f"{side}_static"]), un(case[f"{side}_ephemeral"]), remote and un(remote)))
        keys, counters = None, [0, 0]
        for number, message in enumerate(case["messages"]):
            turn = number % 2
            if sides[0].messages:
                written = sides[turn].write(un(message["payload"]))
                check.same("message", written, message["ciphertext"])
                check.same("payload", sides[1 - turn].read(written), message["payload"])
                continue
            keys = keys or sides[0].split()
            nonce = bytes(4) + u64(counters[turn])
            counters[turn] += 1
            check.same("message", decrypt(keys[turn], nonce, b"", un(message["ciphertext"])), message["payload"])
        for side in sides:
            check.same("handshake hash", side.h, case["handshake_hash"])


def crypto_xwing(check, file, _):
    for case in file["vectors"]:
        check.same("secret key", case["sk"], case["seed"])
        public = xwing_expand(un(case["seed"]))[0]
        check.same("public key", public, case["pk"])
        ciphertext, shared = xwing_encapsulate(public, un(case["eseed"]))
        check.same("ciphertext", ciphertext, case["ct"])
        check.same("secret", shared, case["ss"])
        check.same("secret again", xwing_decapsulate(un(case["seed"]), ciphertext), case["ss"])


def page_lists():
    """Emoji and words, as the page lists them."""
    section = PAGE[PAGE.index("## 22."):]
    rows = [line.split("|")[2:-1] for line in section.splitlines() if line.startswith("| ") and line[2].isdigit()]
    emoji = [cell.strip().split(" ", 1)[1].split(",")[0] for row in rows for cell in row]
    words = section.split("```")[1].split()
    if (len(emoji), len(words)) != (64, 128):
        raise Differs(f"the page lists {len(emoji)} emoji and {len(words)} words")
    return emoji, words


def crypto_pairing(check, file, _):
    dice = Dice(1)
    secrets = [dice.take(128), dice.take(128)]
    check.same("secrets", [secret.hex() for secret in secrets], file["secrets"])
    made = paired(file["invitation"], secrets)
    check.same("bundles", [bundle.hex() for bundle in made["bundles"]], file["bundles"])
    check.same("usable", [pairing.is_usable_bundle(bundle) for bundle in made["bundles"]], [True, True])
    for number, (message, stored) in enumerate(zip(made["messages"], file["messages"]), 1):
        check.same(f"message {number}", message, stored)
    check.same("lengths", [len(message) for message in made["messages"]], [80, 1441, 2529, 1291, 171])
    check.same("transcript", made["tag"], file["transcript"])
    check.same("schedule", {name: key.hex() for name, key in made["keys"].items()}, file["schedule"])
    emoji, words = page_lists()
    check.same("emoji", [emoji[place] for place in made["code"][0]], file["emoji"])
    check.same("words", [words[place] for place in made["code"][1]], file["words"])


# The places of the phrase's words in the English list of BIP-39.
PHRASE_PLACES = {
    "lawsuit": 1009, "inmate": 930, "sponsor": 1683, "venue": 1939, "pilot": 1319, "morning": 1151, "crunch": 423,
    "ranch": 1420, "fatigue": 670, "success": 1730, "connect": 377, "planet": 1327, "require": 1464, "pole": 1340,
    "iron": 946, "dentist": 468, "swarm": 1755, "walk": 1972, "come": 368, "valid": 1926, "shell": 1579, "oak": 1214,
    "easily": 556, "noble": 1197,
}


def crypto_vault(check, file, slow):
    data = un(file["file"])
    check.same("magic, version, sum", (data[:10], sha256(data[:-32])), (b"ALLODVLT\1\0", data[-32:]))
    bits = "".join(f"{PHRASE_PLACES[word]:011b}" for word in file["phrase"].split())
    root = int(bits[:256], 2).to_bytes(32, "big")
    check.same("phrase's sum", bits[256:], f"{sha256(root)[0]:08b}")
    check.same("slot", data[10], 1)
    cost, slot, root_slot = data[11:55], data[55:162], data[162:269]
    memory, passes, lanes = (int.from_bytes(cost[at:at + 4], "little") for at in (0, 4, 8))
    length = int.from_bytes(data[269:273], "little")
    content = data[273:-32]
    check.same("content length", len(content), length)
    key = unseal(derive(root, b"allod/root/vault-slot/1"), "allod/vault-slot/1", aad(b"vault-slot", b"\2"), root_slot, "none")
    plain = unseal(key, "allod/vault-content/1", aad(b"vault-content", b"\1\0", b"\1"), content, "none")
    check.same("content", (len(plain), plain[:32], plain[64], plain[65]), (18_786, root, 1, 1))
    passphrase_key = plain[66:98]
    check.same("passphrase slot", unseal(passphrase_key, "allod/vault-slot/1", aad(b"vault-slot", b"\1" + cost), slot, "none"),
               key.hex())
    if slow:
        made = argon2id(file["passphrase"].encode(), cost[12:], memory, passes, lanes)
        check.same("passphrase key", made, passphrase_key.hex())
    check.same("default cost", (memory, passes, lanes), (65_536, 3, 1))
    buckets = [plain[98 + 73 * n:98 + 73 * (n + 1)] for n in range(256)]
    check.same("index key", plain[32:64], file["index_key"])
    check.same("backup key", derive(root, b"allod/root/backup/1"), file["backup_key"])
    check.same("bucket 0", (buckets[0][:4], buckets[0][4:36].hex(), buckets[0][36:]), (bytes(4), file["bucket_0"], bytes(37)))
    made = {"generation": int.from_bytes(buckets[3][:4], "little"), "key": buckets[3][4:36].hex(),
            "previous_generation": int.from_bytes(buckets[3][37:41], "little"), "previous_key": buckets[3][41:].hex()}
    check.same("bucket 3", (made, buckets[3][36]), (file["bucket_3"], 1))


def crypto_backup(check, file, _):
    data = bytes.fromhex(file["file"])
    check.same("magic, version, sum", (data[:10], sha256(data[:101])), (b"ALLODBAK\1\0", data[101:133]))
    vault = json.loads((check.folder / "vault.json").read_text(encoding="utf-8"))
    key, ident = bytes.fromhex(vault["backup_key"]), data[10:26]
    check.same("header", unseal(key, "allod/backup/1", aad(b"backup-header", ident), data[26:101], "none"), "")
    rest, parts = data[133:], []
    while rest:
        length = int.from_bytes(rest[:4], "little")
        sealed, rest = rest[4:4 + length], rest[4 + length:]
        place = len(parts).to_bytes(8, "little") + (b"\0" if rest else b"\1")
        parts.append(unseal(key, "allod/backup/1", aad(b"backup-part", ident, place), sealed, "none").hex())
    check.same("parts", parts, file["parts"])


# protocol/vectors


def protocol_codec(check, file, _):
    for case in file["vectors"]:
        if case["type"] == "Selector":
            check.same(case["name"], selector_text(case["value"]), case["text"])
            check.same(case["name"], SELECTOR.read(Reader(SELECTOR.write(case["value"]))), case["value"])
            continue
        value = case["value"]
        if "repeated" in value:
            value = {"Scalar": {"Text": value["repeated"] * value["times"]}}
        made = encode(CAPS[case["type"]][0], value)
        if "bytes" in case:
            check.same(case["name"], made, case["bytes"])
        else:
            check.same(case["name"], (len(made), sha256(made).hex()), (case["length"], case["sha256"]))
        read = decode(CAPS[case["type"]][0], made)
        check.same(case["name"], (encode(CAPS[case["type"]][0], read), is_canonical(read)), (made, True))
    for case in file["refused"]:
        data = un(case["bytes"]) if "bytes" in case else un(case["begins"]).ljust(case["length"], b"\0")
        kind, cap = CAPS[case["type"]]
        check.refused(case["name"], case["refusal"], decode, kind, data, cap)


def protocol_bodies(check, file, _):
    for case in file["vectors"]:
        made = encode(BODIES[case["kind"]], case["body"])
        check.same(case["name"], made, case["bytes"])
        check.same(case["name"], encode(BODIES[case["kind"]], read_body(case["kind"], made)), case["bytes"])
    for case in file["parts"]:
        kind = CAPS[case["type"]][0]
        made = encode(kind, case["value"])
        check.same(case["type"], made, case["bytes"])
        check.same(case["type"], encode(kind, decode(kind, made)), case["bytes"])
    for case in file["refused"]:
        check.refused(case["name"], case["refusal"], read_body, case["kind"], un(case["bytes"]))


def _place(case):
    cell = case["cell"]
    record = cell["record"] and un(cell["record"])
    bound_to = cell_aad(un(case["tag"]), un(case["log"]), un(case["grant"]), cell["selector"], record, cell["epoch"],
                              cell["version"], un(case["agreement"]))
    return un(cell["key"]), bound_to, record


def protocol_cells(check, file, _):
    for case in file["vectors"]:
        key, bound_to, record = _place(case)
        own, plain = record_key(key, record), encode(CELL_CONTENT, case["cell"]["content"])
        check.same(case["name"], (bound_to.hex(), own.hex(), plain.hex()), (case["aad"], case["record_key"], case["plain"]))
        padding = "none" if record else "padme"
        made = sealed_with(vector_dice(case["name"]), own, "allod/cell/1", bound_to, plain, padding)
        check.same(case["name"], made, case["sealed"])
        opened = open_cell(key, bound_to, record, made)
        check.same(case["name"], encode(CELL_CONTENT, opened), case["plain"])
    for case in file["refused"]:
        key, bound_to, record = _place(case)
        check.refused(case["name"], "forged", open_cell, key, bound_to, record, un(case["sealed"]))
        check.same(case["name"], "OpenError", case["refusal"])
        check.same(case["name"], case["sealed"], file["vectors"][0]["sealed"])
    for case in file["pseudonyms"]:
        made = pseudonym(un(case["key"]), case["kind"], case["id"])
        check.same(case["id"], (made.hex(), shown_pseudonym(made)), (case["pseudonym"], case["shown"]))
    for case in file["not_pseudonyms"]:
        letters = case["text"][2:]
        reads = case["text"].startswith("p-") and len(letters) == 26 and set(letters) <= set(CROCKFORD)
        check.same(case["name"], reads and letters[0] <= "7", False)
    agreement = file["agreement"]
    blocks = [block.lstrip("\n") for block in PAGE[PAGE.index("### 4.4"):PAGE.index("## 5.")].split("```")]
    english, french = blocks[1].encode(), blocks[3].encode()
    check.same("agreement", (english.decode(), french.decode()), (agreement["en"], agreement["fr"]))
    check.same("agreement", (len(english), len(french)), (agreement["en_bytes"], agreement["fr_bytes"]))
    check.same("agreement", sha256(b"allod/agreement/1", u32(len(english)), english, french), agreement["hash"])


def protocol_hints(check, file, _):
    key = un(file["hint_key"])
    for case in file["tags"]:
        check.same("tag", hint_tag(key, case["day"], case["from"]), case["tag"])
    today = file["now"] // 86_400_000
    made = b"\1\0" + hint_tag(key, today, 1) + u64(file["now"] + 300_000) + un(file["nonce"]) + bytes(470)
    check.same("hint", made, file["cases"][0]["hint"])
    for case in file["cases"]:
        day = case["now"] // 86_400_000
        tags = {hint_tag(key, day + offset, 1) for offset in (-1, 0, 1)}
        taken = takes_hint(un(case["hint"]), case["now"], tags)
        check.same(case["name"], "taken" if taken else "dropped", case["outcome"])


def _identities(check, file):
    for side in ("lender", "holder"):
        part = file["relationship"][side]
        check.same(side, verify_key(un(part["signing_seed"])), part["verify_key"])
        check.same(side, x25519(un(part["agreement_scalar"])), part["agreement_key"])


def _holder(file):
    between = file["relationship"]
    lender = between["lender"]
    return Holder(un(between["tag"]), un(lender["verify_key"]), un(lender["log"]), un(between["chain_of_lender"]))


def _shown(value):
    """The written form of the values that stand in the log."""
    (case, inner), = value["Scalar"].items()
    if case == "Text":
        return inner
    digits = f"{abs(inner['coefficient']):0{inner['scale'] + 1}d}"
    point = len(digits) - inner["scale"]
    text = digits[:point] + ("." + digits[point:] if inner["scale"] else "")
    return ("-" if inner["coefficient"] < 0 else "") + text


def _reads(holder, stored):
    made = {}
    for path in stored:
        kind, record, field = path.split("/")
        named = {shown_pseudonym(name): name for grant in holder.grants.values() for _, name in grant["cells"] if name}
        value = holder.reads(path) or (named.get(record) and holder.reads(f"{kind}/*/{field}", named[record]))
        made[path] = _shown(value) if value else None
    return made


def protocol_log(check, file, _):
    between = file["relationship"]
    lender = between["lender"]
    tag, log, seed = un(between["tag"]), un(lender["log"]), un(lender["signing_seed"])
    _identities(check, file)
    holder, chain, previous = _holder(file), un(between["chain_of_lender"]), bytes(32)
    for case in file["entries"]:
        name, sequence = case["name"], case["sequence"]
        following, body_key, payload_key = chain_step(chain, log, sequence)
        check.same(name, (chain.hex(), following.hex()), (case["chain"], case["next_chain"]))
        check.same(name, (body_key.hex(), payload_key.hex()), (case["body_key"], case["payload_key"]))
        place = (tag, log, sequence, previous)
        plain = encode(WIRE_BODY, case["wire_body"])
        body = sealed_with(vector_dice(f"{name} body"), body_key, "allod/entry-body/1", entry_aad(b"body", *place), plain,
                           "padme")
        payload = b""
        if case["payload_plain"] is not None:
            payload = sealed_with(vector_dice(f"{name} payload"), payload_key, "allod/entry-payload/1",
                                  entry_aad(b"payload", *place), un(case["payload_plain"]), "padme")
        header = b"\1\0" + log + u64(sequence) + previous + sha256(body) + u32(len(body))
        header += (sha256(payload) if payload else bytes(32)) + u32(len(payload))
        made = {"header": header, "signature": sign(seed, b"allod/entry/1", header), "body": body, "payload": payload}
        for part, data in made.items():
            check.same(f"{name}: {part}", data, raw(case["entry"][part]).hex())
        _check_cells(check, file, case)
        check.same(name, header_hash(header), case["header_hash"])
        check.same(name, holder.receive(case["now"], case["entry"]), case["outcome"])
        check.same(name, holder.live and _shown(holder.live), case["live"])
        holder.live = None
        check.same(name, _reads(holder, case["reads"]), case["reads"])
        chain, previous = following, header_hash(header)
    for case in file["cases"]:
        holder = _holder(file)
        for entry in file["entries"][:case["after"]]:
            holder.receive(entry["now"], entry["entry"])
        check.refused(case["name"], case["outcome"], holder.receive, case["now"], case["entry"])
        if "reads" in case:
            check.same(case["name"], _reads(holder, case["reads"]), case["reads"])


def _check_cells(check, file, case):
    """The cells of an entry, sealed again and found in its payload."""
    for number, cell in enumerate(case["cells"]):
        body = decode(BODIES[case["wire_body"]["kind"]], raw(case["wire_body"]["bytes"]))
        agreement = sha256(b"")
        for earlier in file["entries"]:
            if earlier["wire_body"]["kind"] == GRANT_KIND:
                granted = decode(BODIES[GRANT_KIND], raw(earlier["wire_body"]["bytes"]))
                agreement = granted["agreement"] if granted["grant"] == body["grant"] else agreement
        place = {"tag": file["relationship"]["tag"], "log": file["relationship"]["lender"]["log"], "cell": cell,
                 "grant": body["grant"].hex(), "agreement": agreement.hex()}
        key, bound_to, record = _place(place)
        served = case["wire_body"]["kind"] == SERVED
        fresh = vector_dice("served cell" if served else f"{case['name']} {number}")
        made = sealed_with(fresh, record_key(key, record), "allod/cell/1", bound_to, encode(CELL_CONTENT, cell["content"]),
                           "none" if record else "padme")
        check.same(f"{case['name']}: cell {number}", made.hex() in case["payload_plain"], True)


def protocol_heads(check, file, _):
    _identities(check, file)
    log = json.loads((check.folder / "log.json").read_text(encoding="utf-8"))
    layout = file["layout"]
    check.same("layout", head_layout(layout["head"]["head"]), layout["signed"])
    seed = un(file["relationship"]["lender"]["signing_seed"])
    check.same("signature", sign(seed, b"allod/head/1", un(layout["signed"])), raw(layout["head"]["signature"]).hex())

    def received():
        holder = _holder(file)
        for entry in log["entries"][:file["after"]]:
            holder.receive(entry["now"], entry["entry"])
        return holder

    def head(holder, at):
        log_id = file["relationship"]["lender"]["log"]
        head = {"log": log_id, "sequence": len(holder.headers), "hash": holder.last().hex(), "at": at,
                "until": at + 7_776_000_000}
        return {"head": head, "signature": sign(seed, b"allod/head/1", head_layout(head)).hex()}

    for case in file["cases"]:
        holder = received()
        holder.receive_head(file["known_at"], head(holder, file["known_at"]))
        check.refused(case["name"], case["outcome"], holder.receive_head, case["now"], case["head"])
    for case in file["reads"]:
        holder = received()
        if case["head_at"] is not None:
            holder.receive_head(case["head_at"], head(holder, case["head_at"]))
        grant = next(iter(holder.grants.values()))
        check.same(case["name"], holder.may_read(case["now"], grant), case["outcome"])


def _session(check, file, part, asks, asked, role, generation=0, psk="session_psk"):
    """One session from both sides' secrets: keys of the two directions and the handshake hash."""
    between = file["relationship"]
    mine, theirs = between[asks], between[asked]
    prologue = b"/allod/session/1" + un(theirs["route"]) + un(mine["route"]) + bytes([role]) + u32(generation)
    check.same("prologue", prologue, part["prologue"])
    psk, scalars = un(between[psk]), [un(side["agreement_scalar"]) for side in (mine, theirs)]
    sides = [Noise("KKpsk0", turn, prologue, psk, scalars[turn], ephemeral(un(part[f"{dice}_dice"]), scalars[turn]),
                   x25519(scalars[1 - turn])) for turn, dice in enumerate(("hello", "welcome"))]
    hello = decode(SESSION_REQUEST, un(part["hello"]))
    first = sides[0].write(b"")
    made = {"Hello": {"route": theirs["route"], "generation": generation, "session": hello["Hello"]["session"].hex(), "noise": first.hex()}}
    check.same("hello", encode(SESSION_REQUEST, made), part["hello"])
    check.same("hello", (len(first), sides[1].read(first)), (48, b""))
    second = sides[1].write(b"")
    check.same("welcome", encode(SESSION_ANSWER, {"Welcome": {"noise": second.hex()}}), part["welcome"])
    check.same("welcome", sides[0].read(second), "")
    h = sides[0].h
    check.same("handshake hash", h, part["handshake_hash"])
    return [derive(split, b"allod/session/1" + h) for split in sides[1].split()], h, hello["Hello"]["session"].hex()


def _said(key, h, kind, counter, plain, fresh):
    bound_to = aad(b"session-message", h, bytes([kind]), u64(counter))
    return sealed_with(fresh, key, "allod/session-message/1", bound_to, plain, "padme").hex()


def protocol_session(check, file, _):
    _identities(check, file)
    part = file["lender_asks"]
    (ours, theirs), h, session = _session(check, file, part, "lender", "holder", 1)
    sealed = _said(ours, h, 1, 0, encode(SYNC, part["request_sync"]), vector_dice("request"))
    made = encode(SESSION_REQUEST, {"Sealed": {"session": session, "counter": 0, "sealed": sealed}})
    check.same("request", made, part["request"])
    sealed = _said(theirs, h, 2, 0, encode(SYNC, part["answer_sync"]), vector_dice("answer"))
    check.same("answer", encode(SESSION_ANSWER, {"Sealed": {"sealed": sealed}}), part["answer"])
    for said, side in ((part["request_sync"], "lender"), (part["answer_sync"], "holder")):
        for head in said["heads"]:
            key, layout = un(file["relationship"][side]["verify_key"]), head_layout(head["head"])
            check.same("head", verifies(key, b"allod/head/1", layout, raw(head["signature"])), True)

    part = file["lender_was_put_back"]
    (mine, _), h_restored, session = _session(check, file, part, "lender", "holder", 1, 0xFFFFFFFF, "restore_psk")
    sealed = _said(mine, h_restored, 1, 0, encode(RESUMPTION, part["request_resumption"]), vector_dice("request"))
    made = encode(SESSION_REQUEST, {"Sealed": {"session": session, "counter": 0, "sealed": sealed}})
    check.same("request", made, part["request"])

    for case in file["refused_hellos"]:
        check.refused(case["name"], case["refusal"], _hello, file, case["generation"], un(case["noise"]))
    window = Window()
    for case in file["requests"]:
        check.refused(case["name"], case["outcome"], take_request, window, ours, h, case["counter"], un(case["sealed"]))

    part = file["holder_asks"]
    (ours, theirs), h, session = _session(check, file, part, "holder", "lender", 2)
    sealed = _said(ours, h, 1, 0, encode(SYNC, part["request_sync"]), vector_dice("request of the holder"))
    made = encode(SESSION_REQUEST, {"Sealed": {"session": session, "counter": 0, "sealed": sealed}})
    check.same("request", made, part["request"])


def _hello(file, generation, noise):
    """What the holder does with a hello of the lender."""
    between = file["relationship"]
    lender, holder = between["lender"], between["holder"]
    prologue = b"/allod/session/1" + un(holder["route"]) + un(lender["route"]) + b"\1" + u32(generation)
    static = un(holder["agreement_scalar"])
    side = Noise("KKpsk0", 1, prologue, un(between["session_psk"]), static, None, un(lender["agreement_key"]))
    return answer_hello(side, generation, noise)


def protocol_pairing(check, file, _):
    dice = Dice(1)
    made = paired(file["invitation"], [dice.take(128), dice.take(128)])
    tag, key = made["tag"], made["keys"]["profile_key"]
    check.same("tag", (tag.hex(), key.hex()), (file["tag"], file["profile_key"]))
    noise, attempt = [message.hex() for message in made["messages"]], file["attempt"]

    def profile(role, name):
        bound_to = aad(b"pairing-profile", tag, bytes([role]))
        return sealed_with(vector_dice(f"profile {role}"), key, "allod/pairing-message/1", bound_to, encode(PROFILE, file[name]),
                           "padme").hex()

    frames = {
        "first": (PAIR_REQUEST, {"First": {"noise": noise[0]}}),
        "second": (PAIR_ANSWER, {"Second": {"attempt": attempt, "noise": noise[1]}}),
        "third": (PAIR_REQUEST, {"Third": {"attempt": attempt, "noise": noise[2]}}),
        "fourth": (PAIR_ANSWER, {"Fourth": {"noise": noise[3]}}),
        "fifth": (PAIR_REQUEST, {"Fifth": {"attempt": attempt, "noise": noise[4], "profile": profile(2, "scanner_profile")}}),
        "done": (PAIR_ANSWER, {"Done": {"profile": profile(1, "inviter_profile")}}),
        "declined": (PAIR_REQUEST, {"Declined": {"attempt": attempt}}),
        "used": (PAIR_ANSWER, "Used"), "expired": (PAIR_ANSWER, "Expired"), "failed": (PAIR_ANSWER, "Failed"),
    }
    check.same("frames", sorted(frames), sorted(file["frames"]))
    for name, (kind, value) in frames.items():
        check.same(name, encode(kind, value), file["frames"][name])

    def taken(sealed):
        try:
            plain = unseal(key, "allod/pairing-message/1", aad(b"pairing-profile", tag, b"\2"), sealed, "padme")
            read_body(2, plain)
        except Refused:
            raise Refused("failed") from None
        return "taken"

    check.refused("the scanner's profile", "taken", taken, un(profile(2, "scanner_profile")))
    for case in file["refused_profiles"]:
        check.refused(case["name"], case["refusal"], taken, un(case["profile"]))


def protocol_rekey(check, file, _):
    part = {name: un(value) for name, value in file.items() if isinstance(value, str) and name != "about"}
    publics = [xwing_expand(part[f"{side}_seed"])[0] for side in ("inviter", "scanner")]
    ciphertexts = []
    for side, public in zip(("inviter", "scanner"), publics):
        ciphertext, shared = xwing_encapsulate(public, part[f"for_{side}_dice"])
        check.same(side, shared, file[f"ss_{side}"])
        check.same(side, xwing_decapsulate(part[f"{side}_seed"], ciphertext), file[f"ss_{side}"])
        ciphertexts.append(ciphertext)
    stored = [step["body"]["step"] for step in file["steps"]]
    routes = stored[0]["Start"]["route"], stored[1]["Reply"]["route"]
    steps = [{"Start": {"public": publics[0], "route": routes[0]}},
             {"Reply": {"ciphertext": ciphertexts[0], "public": publics[1], "route": routes[1]}},
             {"Finish": {"ciphertext": ciphertexts[1]}}, "Done"]
    said = [encode(BODIES[18], {"generation": 1, "step": step}) for step in steps]
    for body, step in zip(said, file["steps"]):
        check.same("body", body, step["bytes"])
        check.same("body", encode(BODIES[18], read_body(18, body)), step["bytes"])
        check.same("body", encode(BODIES[18], step["body"]), step["bytes"])
    context = b"".join(said[:3])
    check.same("context", sha256(context), file["context_sha256"])
    rs = hkdf(part["rekey_key"], part["ss_inviter"] + part["ss_scanner"], b"allod/rs-next/1" + sha256(context))
    keys = schedule(rs)
    for name, stored_name in (("session_psk",) * 2, ("rekey_key", "rekey_key_after"), ("hint_key",) * 2, ("chain_scanner",) * 2):
        check.same(name, keys[name], file[stored_name])
    log = file["inviters_log"]
    check.same("chain", keys["chain_inviter"], log["chain"])
    made = chain_step(keys["chain_inviter"], un(log["log"]), log["sequence"])
    check.same("keys", [key.hex() for key in made], [log[name] for name in ("next_chain", "body_key", "payload_key")])


CHECKS = {name.replace("_", "/", 1): act for name, act in globals().items()
          if name.startswith(("crypto_", "protocol_")) and callable(act)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NAME.json", help="check the files of this name alone")
    parser.add_argument("--slow", action="store_true", help="compute Argon2id too")
    parser.add_argument("folders", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    folders = arguments.folders or [ROOT / "crypto/vectors", ROOT / "protocol/vectors"]
    files = [file for folder in folders for file in sorted(folder.glob("*.json"))
             if arguments.only in (None, file.name)]
    failed, agreed, refusals = 0, 0, 0
    for path in files:
        name = f"{path.resolve().parts[-3]}/{path.name}"
        check = Check()
        check.folder = path.parent
        act = CHECKS.get(name[:-len(".json")])
        try:
            if act is None:
                raise Differs("this file is not known here")
            act(check, json.loads(path.read_text(encoding="utf-8")), arguments.slow)
        except Differs as difference:
            failed += 1
            print(f"{name}: DIFFERS: {difference}")
            continue
        except Exception as error:  # A changed vector can break anything on the way.
            failed += 1
            print(f"{name}: DIFFERS: {error!r}")
            traceback.print_exc()
            continue
        agreed, refusals = agreed + check.agreed, refusals + check.refusals
        print(f"{name}: {check.agreed} values agree, {check.refusals} cases answered as the file says")
    print(f"{len(files)} files, {agreed} values agree, {refusals} cases answered as the files say, {failed} files differ")
    return 1 if failed or not files else 0


if __name__ == "__main__":
    sys.exit(main())
