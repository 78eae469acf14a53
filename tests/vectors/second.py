#!/usr/bin/env python3
"""A second implementation, from docs/PROTOCOL.md alone: a vendor that pairs, is granted, reads, and is revoked.

    second.py PATH-TO-ALLOD

It starts an `allod` in a directory of its own, scans its invitation, and goes through the whole story with it. It leaves out all that section
20 says may be left out: it listens nowhere, lends nothing, hints nothing, and keeps nothing on a disk.
"""

import contextlib
import json
import pathlib
import secrets
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True

from codec import (BODIES, MIB, PAIR_ANSWER, PAIR_REQUEST, PROFILE, SESSION_ANSWER, SESSION_REQUEST, SYNC, WIRE_BODY, decode,
                   encode)
from holder import Holder, entry_aad, head_layout, header_hash
from libp2p import Connection
from pairing import BUNDLE_BYTES, compared, is_usable_bundle, read_invitation
from primitives import (Noise, derive, hkdf, hmac, sha256, sign, verifies, verify_key, x25519, xwing_decapsulate,
                        xwing_encapsulate, xwing_expand)
from sealing import aad, chain_step, schedule, seal, u32, u64, unseal

PAIR, SESSION = "/allod/pair/1", "/allod/session/1"
INVITER, SCANNER = 1, 2
LEASE_MAX_MS = 7_776_000_000


def now_ms():
    return int(time.time() * 1000)


def sealed(key, domain, bound_to, plain, padding):
    return seal(key, domain, bound_to, plain, padding, secrets.token_bytes(24))


def require(what, holds):
    if not holds:
        raise SystemExit(f"FAILED: {what}")


class Vendor:
    """One relationship, as its scanner and holder."""

    def __init__(self, text):
        self.invitation = read_invitation(text)
        _, host, _, port = next(a for a in self.invitation["addresses"] if a[0] == 4 and a[2] == 1)
        self.connection = Connection(".".join(map(str, host)), port, {SESSION}, self.serve)
        self.profile = {"name": "Second", "kind": "Vendor", "addresses": [], "mailbox": 3}
        self.sessions, self.entries, self.have, self.counter = {}, [], 0, 0
        self.lock = threading.RLock()

    # 6. Pairing

    def pair(self):
        draw = secrets.token_bytes
        self.seed, self.static, xwing, self.route, self.log = draw(32), draw(32), draw(32), draw(16), draw(16)
        mine = b"\1" + verify_key(self.seed) + x25519(self.static) + xwing_expand(xwing)[0] + self.route + self.log
        noise = Noise("XXpsk0", 0, self.invitation["hash"] + b"\1\2", self.invitation["psk"], self.static, draw(32))
        nonce = draw(32)
        second = self.pairs("First", noise=noise.write(sha256(b"allod/sas/1", nonce, mine)))["Second"]
        payload = noise.read(second["noise"])
        theirs, their_nonce = payload[:BUNDLE_BYTES], payload[BUNDLE_BYTES:]
        require("the invitation names the bundle", sha256(theirs) == self.invitation["bundle_hash"])
        require("the bundle can be used", is_usable_bundle(theirs) and noise.rs == theirs[33:65])
        ct_a, ss_a = xwing_encapsulate(theirs[65:1281], draw(64))
        third = {"attempt": second["attempt"], "noise": noise.write(nonce + mine + ct_a)}
        fourth = self.pairs("Third", **third)["Fourth"]["noise"]

        h, splits = noise.h, noise.split()

        def last(number):
            split = splits[1] if number == 4 else splits[0]
            key = derive(split, b"allod/pair/message/1" + bytes([number]) + h)
            return key, "allod/pairing-message/1", aad(b"pairing-message", h, bytes([number]))

        plain = unseal(*last(4), fourth, "none")
        ct_b, signature, mac = plain[:1120], plain[1120:1184], plain[1184:]
        said = theirs + mine + ct_a + ct_b
        rs = hkdf(h, b"".join(splits) + ss_a + xwing_decapsulate(xwing, ct_b), b"allod/rs/1" + sha256(said))
        self.keys, self.tag = schedule(rs), sha256(h, self.invitation["hash"], said)
        by = [self.tag + bytes([role]) for role in (0, INVITER, SCANNER)]
        require("they signed", verifies(theirs[1:33], b"allod/pair/signature/1", by[INVITER], signature))
        require("they have the secret", hmac(self.keys["confirm_inviter"], by[INVITER]) == mac)
        proof = sign(self.seed, b"allod/pair/signature/1", by[SCANNER]) + hmac(self.keys["confirm_scanner"], by[SCANNER])
        ours = sealed(*self.profile_place(SCANNER), encode(PROFILE, self.profile), "padme")
        fifth = {"attempt": second["attempt"], "noise": sealed(*last(5), proof, "none"), "profile": ours}
        done = self.pairs("Fifth", **fifth)["Done"]["profile"]
        their_profile = decode(PROFILE, unseal(*self.profile_place(INVITER), done, "padme"))

        self.their_static, self.their_route, self.their_log = theirs[33:65], theirs[1281:1297], theirs[1297:]
        self.chain = self.keys["chain_scanner"]
        self.holder = Holder(self.tag, theirs[1:33], self.their_log, self.keys["chain_inviter"])
        return compared(nonce, their_nonce, theirs, mine)[1], their_profile["name"]

    def pairs(self, case, **parts):
        return decode(PAIR_ANSWER, self.connection.ask(PAIR, encode(PAIR_REQUEST, {case: parts})), 16_384)

    def profile_place(self, role):
        return self.keys["profile_key"], "allod/pairing-message/1", aad(b"pairing-profile", self.tag, bytes([role]))

    # 9. Our log

    def last_hash(self):
        return header_hash(self.entries[-1]["header"]) if self.entries else bytes(32)

    def acknowledged(self):
        return {"log": self.their_log, "sequence": len(self.holder.headers), "hash": self.holder.last()}

    def append(self, kind, said):
        sequence, previous = len(self.entries) + 1, self.last_hash()
        self.chain, body_key, _ = chain_step(self.chain, self.log, sequence)
        wire = {"kind": kind, "at": now_ms(), "acknowledged": self.acknowledged(), "bytes": encode(BODIES[kind], said)}
        place = entry_aad(b"body", self.tag, self.log, sequence, previous)
        body = sealed(body_key, "allod/entry-body/1", place, encode(WIRE_BODY, wire), "padme")
        header = b"\1\0" + self.log + u64(sequence) + previous + sha256(body) + u32(len(body)) + bytes(32) + u32(0)
        signature = sign(self.seed, b"allod/entry/1", header)
        self.entries.append({"header": header, "signature": signature, "body": body, "payload": b""})

    # 8, 11. Sessions

    def session(self, turn, role, route, their_route):
        prologue = SESSION.encode() + route + their_route + bytes([role]) + u32(0)
        psk = self.keys["session_psk"]
        return Noise("KKpsk0", turn, prologue, psk, self.static, secrets.token_bytes(32), self.their_static)

    def keep(self, session, noise):
        keys = [derive(split, b"allod/session/1" + noise.h) for split in noise.split()]
        mine, theirs = keys if noise.turn == 0 else keys[::-1]
        self.sessions[session] = (noise.h, mine, theirs)

    def hello(self):
        noise, self.ours = self.session(0, SCANNER, self.their_route, self.route), secrets.token_bytes(16)
        hello = {"route": self.their_route, "generation": 0, "session": self.ours, "noise": noise.write(b"")}
        answer = self.connection.ask(SESSION, encode(SESSION_REQUEST, {"Hello": hello}))
        noise.read(decode(SESSION_ANSWER, answer, MIB)["Welcome"]["noise"])
        self.keep(self.ours, noise)

    def request(self):
        h, mine, theirs = self.sessions[self.ours]
        with self.lock:
            counter, self.counter = self.counter, self.counter + 1
            said = sealed(mine, *self.message_place(h, 1, counter), encode(SYNC, self.sync()), "padme")
        request = {"Sealed": {"session": self.ours, "counter": counter, "sealed": said}}
        answer = decode(SESSION_ANSWER, self.connection.ask(SESSION, encode(SESSION_REQUEST, request)), MIB)
        self.take(unseal(theirs, *self.message_place(h, 2, counter), answer["Sealed"]["sealed"], "padme"))

    @staticmethod
    def message_place(h, kind, counter):
        return "allod/session-message/1", aad(b"session-message", h, bytes([kind]), u64(counter))

    def serve(self, data):
        (case, said), = decode(SESSION_REQUEST, data, MIB).items()
        if case == "Hello":
            if said["route"] != self.route or said["generation"] != 0:
                return None
            noise = self.session(1, INVITER, self.route, self.their_route)
            noise.read(said["noise"])
            welcome = noise.write(b"")
            self.keep(said["session"], noise)
            return encode(SESSION_ANSWER, {"Welcome": {"noise": welcome}})
        if said["session"] not in self.sessions:
            return encode(SESSION_ANSWER, "Unknown")
        h, mine, theirs = self.sessions[said["session"]]
        plain = unseal(theirs, *self.message_place(h, 1, said["counter"]), said["sealed"], "padme")
        with self.lock:
            self.take(plain)
            answer = sealed(mine, *self.message_place(h, 2, said["counter"]), encode(SYNC, self.sync()), "padme")
        return encode(SESSION_ANSWER, {"Sealed": {"sealed": answer}})

    def sync(self):
        head = {"log": self.log, "sequence": len(self.entries), "hash": self.last_hash(), "at": now_ms()}
        head["until"] = head["at"] + LEASE_MAX_MS
        signature = sign(self.seed, b"allod/head/1", head_layout(head))
        return {"heads": [{"head": head, "signature": signature}], "have": [self.acknowledged()],
                "entries": self.entries[self.have:]}

    def take(self, plain):
        sync = decode(SYNC, plain, MIB)
        with self.lock:
            for entry in sync["entries"]:
                before = {name: set(grant["gone"]) for name, grant in self.holder.grants.items()}
                self.holder.receive(now_ms(), entry)
                for name, grant in self.holder.grants.items():
                    gone = sorted(grant["gone"] - before.get(name, set()))
                    if gone:
                        self.append(11, {"Selectors": {"grant": name, "selectors": gone}})
            self.have = max([self.have] + [have["sequence"] for have in sync["have"]])
            for head in sync["heads"]:
                self.holder.receive_head(now_ms(), head)

    def waits_for(self, holds, seconds=20):
        end = time.time() + seconds
        while time.time() < end:
            with self.lock:
                if holds():
                    return True
            time.sleep(0.02)
        return False


@contextlib.contextmanager
def node(program):
    """An `allod` that runs, and a way to give it commands."""
    with tempfile.TemporaryDirectory() as directory:
        home = pathlib.Path(directory) / "home"

        def start(*arguments):
            command = [program, "--home", str(home), "--json", *arguments]
            return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

        def allod(*arguments):
            process = start(*arguments)
            said = process.communicate()[0]
            require(f"allod {arguments[0]} works", process.returncode == 0)
            return [json.loads(line) for line in said.splitlines() if line]

        allod("init", "--name", "Alice", "--no-passphrase")
        daemon = start("run", "--listen", "/ip4/127.0.0.1/tcp/0")
        try:
            require("the node is ready", json.loads(daemon.stdout.readline())["ready"])
            yield allod, start
        finally:
            daemon.terminate()
            daemon.wait()


def main(program):
    with node(program) as (allod, start):
        allod("set", "contact/me/city=Paris", "transaction/a/amount:decimal=9.99", "transaction/b/amount:decimal=-120")
        invite = start("invite", "--yes")
        vendor = Vendor(json.loads(invite.stdout.readline())["invitation"])
        places, name = vendor.pair()
        require("their profile is theirs", name == "Alice")
        with vendor.lock:
            vendor.append(1, {"profile": vendor.profile})
        vendor.hello()
        vendor.request()
        require("both are paired", vendor.waits_for(lambda: vendor.holder.headers and vendor.have))
        shown = json.loads(invite.communicate()[0].splitlines()[-1])
        require("paired as the inviter sees it", shown["confirmed"])
        page = (pathlib.Path(__file__).resolve().parents[2] / "docs/PROTOCOL.md").read_text(encoding="utf-8")
        words = page[page.index("## 22."):].split("```")[1].split()
        require("both screens show the same words", [words[place] for place in places] == shown["words"])
        print("paired: both screens show", *shown["words"])

        city = ("contact/me/city", None)
        allod("grant", "Second", "contact/me/city", "transaction/*/amount", "--purpose", "delivery", "--yes")
        require("cells arrive", vendor.waits_for(lambda: vendor.holder.reads(*city) == {"Scalar": {"Text": "Paris"}}))
        grant = next(iter(vendor.holder.grants.values()))
        require("a column has two records", vendor.waits_for(lambda: len(grant["cells"]) == 3))
        require("it may be read", vendor.holder.may_read(now_ms(), grant) == "read")
        allod("set", "contact/me/city=Lyon")
        require("the newer one arrives", vendor.waits_for(lambda: vendor.holder.reads(*city) == {"Scalar": {"Text": "Lyon"}}))
        print("granted: read Paris, then Lyon, and two amounts of a column")

        allod("revoke", "Second", "--yes")
        require("the revocation arrives", vendor.waits_for(lambda: not grant["keys"] and not grant["cells"]))
        vendor.request()
        confirmed = any(item["purge"] == "confirmed" for item in allod("grants")[0]["items"])
        require("the purge is confirmed", confirmed)
        require("the logs hold together", allod("log", "--verify")[0]["ok"])
        print("revoked: keys and cells dropped, and the other side knows")


if __name__ == "__main__":
    main(sys.argv[1])
