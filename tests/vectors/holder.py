"""Sections 8, 9, 10, 12 and 17 of docs/PROTOCOL.md: sessions, what a holder keeps of a lender's log, and hints."""

from codec import (CELL_CONTENT, CELLS_PAYLOAD, KEYS_PAYLOAD, MIB, SERVED_PAYLOAD, SYNC, VERSION, WIRE_BODY, decode,
                   is_canonical, raw, read_body, selector_text)
from primitives import Refused, derive, hmac, sha256, verifies
from sealing import aad, chain_step, u32, u64, unseal

PAIRED, GRANT_KIND, KEYS, CELLS, REVOKED, PURGED, SERVED, CLOSED = 1, 7, 8, 9, 10, 11, 13, 20
# 9. Logs: the holder's side of one relationship, with what 10 and 12 say of cells and leases

AHEAD_MS = 120_000


def header_hash(header):
    return sha256(b"allod/header/1", header)


def entry_aad(kind, tag, log, sequence, previous):
    return aad(kind, tag, log, u64(sequence), previous)


def cell_aad(tag, log, grant, selector, record, epoch, version, agreement):
    text = selector.encode()
    return aad(b"cell", tag, log, grant, u32(len(text)), text, record or bytes(16), u32(epoch), u64(version), agreement)


def record_key(field_key, record):
    return field_key if record is None else derive(field_key, b"allod/record-key/1" + record)


def open_cell(field_key, bound_to, record, sealed):
    plain = unseal(record_key(field_key, record), "allod/cell/1", bound_to, sealed, "none" if record else "padme")
    try:
        content = decode(CELL_CONTENT, plain)
    except Refused:
        raise Refused("forged") from None
    if not is_canonical(content["value"]):
        raise Refused("forged")
    return content


class Holder:
    """What a holder keeps of a lender's log."""

    def __init__(self, tag, verify_key, log, chain):
        self.tag, self.key, self.log, self.chain = tag, verify_key, log, chain
        self.headers, self.grants, self.head, self.state = [], {}, None, "paired"
        self.live = None

    def last(self):
        return header_hash(self.headers[-1]) if self.headers else bytes(32)

    def receive(self, now, entry):
        """What becomes of an entry; nothing is kept of one that is refused."""
        header, signature, body, payload = (raw(entry[part]) for part in ("header", "signature", "body", "payload"))
        if len(header) != 130 or not verifies(self.key, b"allod/entry/1", header, signature):
            raise Refused("forged")
        sequence = int.from_bytes(header[18:26], "little")
        body_bytes, payload_bytes = (int.from_bytes(header[at:at + 4], "little") for at in (90, 126))
        if header[:2] != VERSION or sequence == 0 or body_bytes + payload_bytes > 524_288:
            raise Refused("forged")
        if len(body) != body_bytes or sha256(body) != header[58:90]:
            raise Refused("forged")
        if payload and (len(payload) != payload_bytes or sha256(payload) != header[94:126]):
            raise Refused("forged")
        if header[2:18] != self.log:
            raise Refused("not_allowed")
        if sequence <= len(self.headers):
            return "known" if header_hash(self.headers[sequence - 1]) == header_hash(header) else "fork"
        if sequence > len(self.headers) + 1:
            return "too_early"
        if header[26:58] != self.last():
            return "fork"
        chain, body_key, payload_key = chain_step(self.chain, self.log, sequence)
        place = (self.tag, self.log, sequence, header[26:58])
        plain = unseal(body_key, "allod/entry-body/1", entry_aad(b"body", *place), body, "padme")
        try:
            wire = decode(WIRE_BODY, plain)
        except Refused:
            raise Refused("malformed") from None
        said = read_body(wire["kind"], wire["bytes"])
        if payload:
            payload = unseal(payload_key, "allod/entry-payload/1", entry_aad(b"payload", *place), payload, "padme")
        outcome = self._act(sequence, wire["kind"], said, wire["at"], payload or None)
        self.headers.append(header)
        self.chain = chain
        return outcome

    def _act(self, sequence, kind, said, at, payload):
        if (kind == PAIRED) != (sequence == 1) or said is None:
            return "kept"
        if self.state == "closed" and kind not in (REVOKED, PURGED, CLOSED):
            return "kept"
        if kind == GRANT_KIND:
            return self._granted(said, payload)
        if kind == CLOSED:
            self.state = "closed"
        if kind in (KEYS, CELLS, REVOKED, SERVED):
            grant = self.grants.get(said["grant"])
            if grant is None:
                return "kept"
            {KEYS: self._keys, CELLS: self._cells, REVOKED: self._revoked, SERVED: self._served}[kind](
                grant, said, payload)
        return "taken"

    def _granted(self, said, payload):
        if said["grant"] in self.grants:
            return "kept"
        keys = {}
        if payload is not None:
            brought = _payload(KEYS_PAYLOAD, payload)["keys"]
            if len(brought) != len(said["selectors"]):
                raise Refused("malformed")
            keys = {(place, 0): key for place, key in enumerate(brought)}
        texts = [selector_text(selector) for selector in said["selectors"]]
        self.grants[said["grant"]] = {**said, "texts": texts, "keys": keys, "cells": {}, "gone": set(),
                                      "epochs": [0] * len(texts)}
        return "taken"

    def _keys(self, grant, said, payload):
        if payload is None:
            return
        brought = _payload(KEYS_PAYLOAD, payload)["keys"]
        if len(brought) != len(said["keys"]) or any(place >= len(grant["texts"]) for place, _ in said["keys"]):
            raise Refused("malformed")
        for (place, epoch), key in zip(said["keys"], brought):
            if place not in grant["gone"] and epoch >= grant["epochs"][place]:
                grant["epochs"][place] = epoch
                grant["keys"][place, epoch] = key

    def _cells(self, grant, said, payload):
        if len(grant["gone"]) == len(grant["texts"]):
            return
        brought = iter(())
        if payload is not None:
            cells = _payload(CELLS_PAYLOAD, payload)["cells"]
            if len(cells) != sum(not cell["gone"] for cell in said["cells"]):
                raise Refused("malformed")
            brought = iter(cells)
        # Nothing of the entry is kept if one cell of it is forged.
        keys, held_cells = dict(grant["keys"]), dict(grant["cells"])
        for cell in said["cells"]:
            sealed = None if cell["gone"] else next(brought, None)
            place, record, epoch = cell["selector"], cell["record"], cell["epoch"]
            if place >= len(grant["texts"]) or place in grant["gone"]:
                continue
            if (record is not None) != ("/*/" in grant["texts"][place]):
                continue
            held, age = held_cells.get((place, record)), (epoch, cell["version"])
            if cell["gone"]:
                if held is None or held[0] <= age:
                    held_cells.pop((place, record), None)
                    if record is None:
                        keys = {name: key for name, key in keys.items() if name[0] != place}
                continue
            newer = held is None or held[0][0] < epoch or (grant["mode"] == "Follow" and held[0] < age)
            if sealed is None or not newer or (place, epoch) not in keys:
                continue
            bound_to = cell_aad(self.tag, self.log, grant["grant"], grant["texts"][place], record, epoch,
                                cell["version"], grant["agreement"])
            held_cells[place, record] = (age, open_cell(keys[place, epoch], bound_to, record, sealed)["value"])
            if record is None:
                keys = {name: key for name, key in keys.items() if name[0] != place or name[1] >= epoch}
        grant["keys"], grant["cells"] = keys, held_cells

    def _revoked(self, grant, said, _):
        places = [place for place in said["selectors"] if place < len(grant["texts"])]
        if not places:
            raise Refused("malformed")
        grant["gone"].update(places)
        for kept in ("keys", "cells"):
            grant[kept] = {name: value for name, value in grant[kept].items() if name[0] not in places}

    def _served(self, grant, said, payload):
        if payload is None or said["selector"] >= len(grant["texts"]):
            raise Refused("malformed")
        brought = _payload(SERVED_PAYLOAD, payload)
        bound_to = cell_aad(self.tag, self.log, grant["grant"], grant["texts"][said["selector"]], said["record"],
                            2**32 - 1, said["outcome"]["Value"]["version"], grant["agreement"])
        self.live = open_cell(brought["key"], bound_to, said["record"], brought["cell"])["value"]

    def receive_head(self, now, signed):
        head = signed["head"]
        log, digest = raw(head["log"]), raw(head["hash"])
        layout = head_layout(head)
        if not verifies(self.key, b"allod/head/1", layout, raw(signed["signature"])):
            raise Refused("forged")
        if head["at"] > now + AHEAD_MS:
            raise Refused("from_the_future")
        if log != self.log:
            raise Refused("not_allowed")
        if head["sequence"] > len(self.headers):
            return "ahead"
        ours = header_hash(self.headers[head["sequence"] - 1]) if head["sequence"] else bytes(32)
        if ours != digest:
            return "fork"
        age = [(one["at"], one["sequence"], one["until"]) for one in (head, self.head) if one]
        if head["sequence"] < len(self.headers) or (self.head and age[0] <= age[1]):
            return "old"
        self.head = head
        return "level"

    def reads(self, path, record=None):
        """The value held under a selector's text, whatever the time."""
        for grant in self.grants.values():
            for place, text in enumerate(grant["texts"]):
                if text == path and (place, record) in grant["cells"]:
                    return grant["cells"][place, record][1]
        return None

    def may_read(self, now, grant):
        if self.head:
            now = max(now, self.head["at"])
        if grant["not_after"] is not None and now >= grant["not_after"]:
            return "expired"
        if now + AHEAD_MS < grant["not_before"]:
            return "not_yet"
        if grant["lease_ms"] is not None:
            lease = min(max(grant["lease_ms"], 10_000), 7_776_000_000)
            if not self.head or now > min(self.head["at"] + lease, self.head["until"]):
                return "lease_over"
        return "read"


def _payload(kind, data):
    try:
        return decode(kind, data)
    except Refused:
        raise Refused("malformed") from None


def head_layout(head):
    return VERSION + raw(head["log"]) + u64(head["sequence"]) + raw(head["hash"]) + u64(head["at"]) + u64(head["until"])


# 10.2, 17


def pseudonym(key, kind, record_id):
    return hmac(key, b"allod/pseudonym/1", kind.encode(), b"/", record_id.encode())[:16]


CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def shown_pseudonym(data):
    number = int.from_bytes(data, "big")
    return "p-" + "".join(CROCKFORD[number >> 5 * place & 31] for place in range(25, -1, -1))


def hint_tag(key, day, from_inviter):
    return hmac(key, b"allod/hint/1", u64(day), bytes([from_inviter]))[:16]


def takes_hint(hint, now, tags):
    expires = int.from_bytes(hint[18:26], "little")
    whole = len(hint) == 512 and hint[:2] == VERSION and not any(hint[42:])
    return whole and now < expires <= now + 600_000 and hint[2:18] in tags


# 8. Sessions


class Window:
    """Which counters were seen: each once, none 1,024 or more below the newest."""

    def __init__(self):
        self.newest, self.seen = -1, set()

    def accept(self, counter):
        if counter == 2**64 - 1 or counter in self.seen or counter <= self.newest - 1024:
            return False
        self.seen.add(counter)
        self.newest = max(self.newest, counter)
        return True


def answer_hello(noise, generation, first):
    """Refuses a first message that does not prove the relationship's keys."""
    if generation != 0 or len(first) != 48:
        raise Refused("refused")
    try:
        noise.read(first)
    except Refused:
        raise Refused("refused") from None
    return "welcome"


def take_request(window, key, h, counter, sealed):
    bound_to = aad(b"session-message", h, b"\1", u64(counter))
    plain = unseal(key, "allod/session-message/1", bound_to, sealed, "padme")
    if not window.accept(counter):
        raise Refused("forged")
    try:
        sync = decode(SYNC, plain, MIB)
    except Refused:
        raise Refused("malformed") from None
    if len(sync["heads"]) > 16 or len(sync["have"]) > 16 or len(sync["entries"]) > 256:
        raise Refused("malformed")
    return "taken"
