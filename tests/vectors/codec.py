"""Sections 2, 4, 8 and 9.3 of docs/PROTOCOL.md: the codec, and every type that is written with it.

A type knows how to write a JSON value of a vector, and how to read one back. What must not pass raises Refused with the page's word.
"""

import datetime
import unicodedata

from primitives import Refused

# 2. The codec: a type knows how to write a JSON value and how to read it back.

VERSION = b"\1\0"


class Reader:
    def __init__(self, data):
        self.data, self.place = data, 0

    def take(self, count):
        if count > len(self.data) - self.place:
            raise Refused("malformed")
        self.place += count
        return self.data[self.place - count:self.place]


def varint(n):
    if n <= 250:
        return bytes([n])
    for tag, width in ((251, 2), (252, 4), (253, 8), (254, 16)):
        if n < 1 << 8 * width:
            return bytes([tag]) + n.to_bytes(width, "little")
    raise Refused("malformed")


class Unsigned:
    def __init__(self, bits):
        self.bits = bits

    def write(self, n):
        if not 0 <= n < 1 << self.bits:
            raise Refused("malformed")
        return bytes([n]) if self.bits == 8 else varint(n)

    def read(self, reader):
        first = reader.take(1)[0]
        if self.bits == 8 or first <= 250:
            return first
        if first == 255:
            raise Refused("malformed")
        n = int.from_bytes(reader.take(2 << (first - 251)), "little")
        if n >= 1 << self.bits:
            raise Refused("malformed")
        return n


class Signed(Unsigned):
    def write(self, n):
        return super().write(2 * n if n >= 0 else -2 * n - 1)

    def read(self, reader):
        n = super().read(reader)
        return -(n // 2) - 1 if n % 2 else n // 2


class Bool:
    def write(self, value):
        return bytes([value])

    def read(self, reader):
        byte = reader.take(1)[0]
        if byte > 1:
            raise Refused("malformed")
        return byte == 1


def raw(value):
    """Bytes of a vector: hexadecimal, or a short list of numbers."""
    return bytes.fromhex(value) if isinstance(value, str) else bytes(value)


class Bytes:
    """Of a fixed length, or with their length in front."""

    def __init__(self, length=None):
        self.length = length

    def write(self, value):
        data = raw(value)
        if self.length is None:
            return varint(len(data)) + data
        if len(data) != self.length:
            raise Refused("malformed")
        return data

    def read(self, reader):
        length = U64.read(reader) if self.length is None else self.length
        return reader.take(length)


class Text:
    def __init__(self, fits=lambda text: True):
        self.fits = fits

    def write(self, text):
        if not self.fits(text):
            raise Refused("malformed")
        return varint(len(text.encode())) + text.encode()

    def read(self, reader):
        try:
            text = reader.take(U64.read(reader)).decode()
        except UnicodeDecodeError:
            raise Refused("malformed") from None
        if not self.fits(text):
            raise Refused("malformed")
        return text


class Maybe:
    def __init__(self, inner):
        self.inner = inner

    def write(self, value):
        return b"\0" if value is None else b"\1" + self.inner.write(value)

    def read(self, reader):
        return self.inner.read(reader) if Bool().read(reader) else None


class Many:
    def __init__(self, inner):
        self.inner = inner

    def write(self, values):
        return varint(len(values)) + b"".join(self.inner.write(value) for value in values)

    def read(self, reader):
        return [self.inner.read(reader) for _ in range(U64.read(reader))]


class Tuple:
    def __init__(self, *inner):
        self.inner = inner

    def write(self, values):
        return b"".join(inner.write(value) for inner, value in zip(self.inner, values))

    def read(self, reader):
        return [inner.read(reader) for inner in self.inner]


class Struct:
    def __init__(self, **parts):
        self.parts = parts

    def write(self, value):
        if set(value) != set(self.parts):
            raise Refused("malformed")
        return b"".join(part.write(value[name]) for name, part in self.parts.items())

    def read(self, reader):
        return {name: part.read(reader) for name, part in self.parts.items()}


class Enum:
    """Cases by name, in order; None where a case has no parts."""

    def __init__(self, **cases):
        self.cases = cases

    def write(self, value):
        name, parts = (value, None) if isinstance(value, str) else next(iter(value.items()))
        inner = self.cases[name]
        return varint(list(self.cases).index(name)) + (inner.write(parts) if inner else b"")

    def read(self, reader):
        number = Unsigned(32).read(reader)
        if number >= len(self.cases):
            raise Refused("malformed")
        name, inner = list(self.cases.items())[number]
        return {name: inner.read(reader)} if inner else name


def encode(kind, value):
    return VERSION + kind.write(value)


def decode(kind, data, cap=512 * 1024):
    if len(data) > cap:
        raise Refused("too_large")
    if len(data) < 2 or data[:2] == b"\0\0":
        raise Refused("malformed")
    if data[:2] != VERSION:
        raise Refused("newer")
    reader = Reader(data[2:])
    value = kind.read(reader)
    if reader.place != len(reader.data) or encode(kind, value) != data:
        raise Refused("malformed")
    return value


U8, U16, U32, U64 = Unsigned(8), Unsigned(16), Unsigned(32), Unsigned(64)
ID, HASH, OPEN = Bytes(16), Bytes(32), Bytes()
STRING = Text()

# 4. Names and values


def is_name(text):
    plain = set("abcdefghijklmnopqrstuvwxyz0123456789_.-")
    return 1 <= len(text) <= 64 and set(text) <= plain and "a" <= text[0] <= "z"


def is_record_id(text):
    # White_Space of Unicode; str.isspace has four separators more, which are control characters anyway.
    fits = all(unicodedata.category(c) != "Cc" and not c.isspace() and c not in "/*=" for c in text)
    return fits and 1 <= len(text.encode()) <= 128 and unicodedata.normalize("NFC", text) == text


NAME = Text(is_name)
RECORD = Struct(kind=NAME, id=Text(is_record_id))
SELECTOR = Enum(Field=Struct(record=RECORD, field=NAME), Column=Struct(kind=NAME, field=NAME))
SCALAR = Enum(Text=STRING, Integer=Signed(128), Decimal=Struct(coefficient=Signed(128), scale=U8), Boolean=Bool(),
              Date=Struct(year=Signed(16), month=U8, day=U8), Instant=Signed(64), Bytes=OPEN)
VALUE = Enum(Scalar=SCALAR, List=Many(SCALAR), Map=Many(Tuple(STRING, SCALAR)))


def selector_text(selector):
    (case, parts), = selector.items()
    if case == "Column":
        return f"{parts['kind']}/*/{parts['field']}"
    return f"{parts['record']['kind']}/{parts['record']['id']}/{parts['field']}"


def _is_canonical_scalar(scalar):
    (case, value), = scalar.items()
    if case == "Decimal":
        scale = value["scale"]
        return scale <= 38 and (scale == 0 or value["coefficient"] % 10 != 0)
    if case == "Date":
        # The year 0 is a leap year, which the library does not know; 2000 is one too.
        year = value["year"]
        try:
            datetime.date(year if year else 2000, value["month"], value["day"])
        except (ValueError, OverflowError):
            return False
        return 0 <= year <= 9999
    if case == "Instant":
        return -62_167_219_200_000_000 <= value <= 253_402_300_799_999_999
    return True


def is_canonical(value):
    (case, inner), = value.items()
    if case == "Scalar":
        scalars, names = [inner], []
    elif case == "List":
        scalars, names = inner, []
    else:
        scalars, names = [scalar for _, scalar in inner], [name.encode() for name, _ in inner]
    ordered = all(a < b for a, b in zip(names, names[1:])) and all(1 <= len(name) <= 64 for name in names)
    fits = len(scalars) <= 1024 and len(encode(VALUE, value)) <= 262_144
    return fits and ordered and all(map(_is_canonical_scalar, scalars))


# 8, 9. Messages and bodies

NODE = Enum(Person=None, Vendor=None)
MODE = Enum(Follow=None, Once=None, Reference=None)
ACKNOWLEDGED = Struct(log=ID, sequence=U64, hash=HASH)
HEAD = Struct(head=Struct(log=ID, sequence=U64, hash=HASH, at=U64, until=U64), signature=OPEN)
ENTRY = Struct(header=OPEN, signature=OPEN, body=OPEN, payload=OPEN)
SYNC = Struct(heads=Many(HEAD), have=Many(ACKNOWLEDGED), entries=Many(ENTRY))
PAIR_REQUEST = Enum(First=Struct(noise=OPEN), Third=Struct(attempt=ID, noise=OPEN),
                    Fifth=Struct(attempt=ID, noise=OPEN, profile=OPEN), Declined=Struct(attempt=ID))
PAIR_ANSWER = Enum(Second=Struct(attempt=ID, noise=OPEN), Fourth=Struct(noise=OPEN), Done=Struct(profile=OPEN),
                   Used=None, Expired=None, Failed=None)
SESSION_REQUEST = Enum(Hello=Struct(route=ID, generation=U32, session=ID, noise=OPEN),
                       Sealed=Struct(session=ID, counter=U64, sealed=OPEN))
SESSION_ANSWER = Enum(Welcome=Struct(noise=OPEN), Sealed=Struct(sealed=OPEN), Unknown=None)
WIRE_BODY = Struct(kind=U16, at=U64, acknowledged=ACKNOWLEDGED, bytes=OPEN)
PROFILE = Struct(name=STRING, kind=NODE, addresses=Many(STRING), mailbox=U8)
CELL_REF = Struct(selector=U16, record=Maybe(ID), epoch=U32, version=U64, gone=Bool())
KEYS_PAYLOAD = Struct(keys=Many(HASH))
CELLS_PAYLOAD = Struct(cells=Many(OPEN))
SERVED_PAYLOAD = Struct(key=HASH, cell=OPEN)
CELL_CONTENT = Struct(at_s=U64, value=VALUE)
GRANTED = Struct(grant=ID, ask=Maybe(ID), selectors=Many(SELECTOR), purpose=STRING, mode=MODE, not_before=U64,
                 not_after=Maybe(U64), lease_ms=Maybe(U64), reads_per_hour=U32, agreement=HASH)
STATED = Many(Struct(grant=ID, live=Many(Tuple(U16, U32))))
RESUMPTION = Struct(offer=Maybe(Struct(log=ID, chain=HASH)), sync=SYNC)
MIB = 1 << 20
CAPS = {"PairRequest": (PAIR_REQUEST, 16_384), "PairAnswer": (PAIR_ANSWER, 16_384), "Sync": (SYNC, MIB),
        "Resumption": (RESUMPTION, MIB),
        "SessionRequest": (SESSION_REQUEST, MIB), "SessionAnswer": (SESSION_ANSWER, MIB),
        "Value": (VALUE, 262_144 + 64), "Profile": (PROFILE, MIB // 2), "Granted": (GRANTED, MIB // 2),
        "WireBody": (WIRE_BODY, MIB // 2), "KeysPayload": (KEYS_PAYLOAD, MIB // 2),
        "CellsPayload": (CELLS_PAYLOAD, MIB // 2), "ServedPayload": (SERVED_PAYLOAD, MIB // 2),
        "CellContent": (CELL_CONTENT, MIB // 2)}

BODIES = {
    1: Struct(profile=PROFILE),
    2: PROFILE,
    5: Struct(ask=ID, required=Many(SELECTOR), optional=Many(SELECTOR), purpose=STRING, reason=STRING,
              benefit=STRING, until=Maybe(U64), mode=MODE),
    6: Struct(ask=ID, end=Enum(Declined=None, Withdrawn=None), reason=STRING),
    7: GRANTED,
    8: Struct(grant=ID, keys=Many(Tuple(U16, U32))),
    9: Struct(grant=ID, cells=Many(CELL_REF)),
    10: Struct(grant=ID, selectors=Many(U16)),
    11: Enum(Selectors=Struct(grant=ID, selectors=Many(U16)), Cells=Struct(grant=ID, cells=Many(CELL_REF))),
    12: Struct(grant=ID, selector=U16, record=Maybe(ID), nonce=ID),
    13: Struct(grant=ID, selector=U16, record=Maybe(ID), nonce=ID,
               outcome=Enum(Value=Struct(version=U64), Nothing=None, Refused=None, TooMany=Struct(refused=U32))),
    14: Struct(lines=Many(Struct(grant=ID, selector=U16, purpose=STRING, count=U64, **{"from": U64}, to=U64))),
    18: Struct(generation=U32, step=Enum(Start=Struct(public=OPEN, route=ID), Reply=Struct(ciphertext=OPEN, public=OPEN, route=ID),
                                         Finish=Struct(ciphertext=OPEN), Done=None)),
    20: Struct(),
    21: Struct(given=STATED, held=STATED, asked=Many(ID), asked_of=Many(ID)),
}


def _is_purpose(text):
    return 1 <= len(text) <= 64 and text.isascii() and text.isalnum()


def _is_profile(profile):
    return (len(profile["name"].encode()) <= 64 and len(profile["addresses"]) <= 8 and profile["mailbox"] < 64
            and all(len(address.encode()) <= 256 for address in profile["addresses"]))


def _is_selection(selectors):
    texts = [str(selector) for selector in selectors]
    return 1 <= len(texts) <= 256 and len(set(texts)) == len(texts)


def _within_limits(kind, body):
    if kind == 1:
        return _is_profile(body["profile"])
    if kind == 2:
        return _is_profile(body)
    if kind == 5:
        short = all(len(body[text].encode()) <= 2048 for text in ("reason", "benefit"))
        return short and _is_purpose(body["purpose"]) and _is_selection(body["required"] + body["optional"])
    if kind == 6:
        return len(body["reason"].encode()) <= 2048
    if kind == 7:
        return _is_selection(body["selectors"]) and _is_purpose(body["purpose"])
    if kind == 8:
        return 1 <= len(body["keys"]) <= 256
    if kind == 9:
        return 1 <= len(body["cells"]) <= 1000
    if kind == 10:
        return 1 <= len(body["selectors"]) <= 256
    if kind == 11:
        (case, parts), = body.items()
        return 1 <= len(parts["selectors"]) <= 256 if case == "Selectors" else 1 <= len(parts["cells"]) <= 1000
    if kind == 14:
        return 1 <= len(body["lines"]) <= 256 and all(_is_purpose(line["purpose"]) for line in body["lines"])
    if kind == 18 and body["step"] != "Done":
        (_, parts), = body["step"].items()
        return len(parts.get("public", bytes(1216))) == 1216 and len(parts.get("ciphertext", bytes(1120))) == 1120
    if kind == 21:
        few = all(len(body[name]) <= 1024 for name in ("given", "held", "asked", "asked_of"))
        lists = [[grant["live"] for grant in body[name]] for name in ("given", "held")]
        some = all(1 <= len(live) <= 256 for lives in lists for live in lives)
        within = all(sum(map(len, lives)) <= 16_384 for lives in lists)
        return few and some and within and all(epoch <= 1 << 31 for lives in lists for live in lives for _, epoch in live)
    return True


def read_body(kind, data):
    """A body of a known kind, or None for one of a newer version."""
    if kind not in BODIES:
        return None
    try:
        body = decode(BODIES[kind], data)
    except Refused:
        raise Refused("malformed") from None
    if not _within_limits(kind, body):
        raise Refused("malformed")
    return body
