"""As much of libp2p as section 16 of docs/PROTOCOL.md needs: TCP, multistream-select, Noise, Yamux, ping, requests.

One connection, dialled by us, under a key that nobody keeps. Written from https://github.com/libp2p/specs.
"""

import queue
import secrets
import socket
import struct
import threading

from primitives import Noise, decrypt, encrypt, sign_plain, verify_key, x25519

MULTISTREAM, PING = "/multistream/1.0.0", "/ipfs/ping/1.0.0"
DATA, WINDOW, PROBE, AWAY = range(4)
SYN, ACK, FIN, RESET = 1, 2, 4, 8


class Over(Exception):
    """The stream or connection ended."""


def _line(text):
    return bytes([len(text) + 1]) + text.encode() + b"\n"


class Stream:
    def __init__(self, connection, number):
        self.connection, self.number = connection, number
        self.arrived, self.rest = queue.Queue(), b""

    def send(self, data):
        for place in range(0, len(data), 16_384):
            self.connection.frame(DATA, 0, self.number, data[place:place + 16_384])

    def close(self):
        self.connection.frame(DATA, FIN, self.number)

    def read(self, count, timeout_s=40):
        while len(self.rest) < count:
            try:
                data = self.arrived.get(timeout=timeout_s)
            except queue.Empty:
                raise Over("silence") from None
            if data is None:
                self.arrived.put(None)
                raise Over("the stream ended")
            self.rest += data
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def line(self):
        return self.read(self.read(1)[0])[:-1].decode()


class Connection:
    """`serve` takes (protocol, request) and returns the answer, or None to refuse."""

    def __init__(self, host, port, protocols, serve):
        self.protocols, self.serve = protocols, serve
        self.streams, self.next, self.lock = {}, 1, threading.Lock()
        self.socket, self.encrypted, self.plain = socket.create_connection((host, port), timeout=60), b"", b""
        for text in (MULTISTREAM, "/noise"):
            self.socket.sendall(_line(text))
        self._expect(self._take, _line(MULTISTREAM) + _line("/noise"))
        self._handshake()
        agreed = _line(MULTISTREAM) + _line("/yamux/1.0.0")
        self._write(agreed)
        self._expect(self._read, agreed)
        threading.Thread(target=self._loop, daemon=True).start()

    @staticmethod
    def _expect(read, data):
        if read(len(data)) != data:
            raise Over("another protocol")

    def _take(self, count):
        while len(self.encrypted) < count:
            data = self.socket.recv(65_536)
            if not data:
                raise Over("the connection ended")
            self.encrypted += data
        taken, self.encrypted = self.encrypted[:count], self.encrypted[count:]
        return taken

    def _put_message(self, message):
        self.socket.sendall(struct.pack(">H", len(message)) + message)

    def _take_message(self):
        return self._take(struct.unpack(">H", self._take(2))[0])

    def _handshake(self):
        seed, static = secrets.token_bytes(32), secrets.token_bytes(32)
        noise = Noise("XX", 0, b"", None, static, secrets.token_bytes(32))
        self._put_message(noise.write(b""))
        noise.read(self._take_message())
        key = b"\x08\x01\x12\x20" + verify_key(seed)
        proof = sign_plain(seed, b"noise-libp2p-static-key:" + x25519(static))
        self._put_message(noise.write(b"\x0a" + bytes([len(key)]) + key + b"\x12\x40" + proof))
        self.keys, self.counters = noise.split(), [0, 0]

    def _nonce(self, direction):
        self.counters[direction] += 1
        return bytes(4) + (self.counters[direction] - 1).to_bytes(8, "little")

    def _write(self, data):
        for place in range(0, len(data), 65_519):
            self._put_message(encrypt(self.keys[0], self._nonce(0), b"", data[place:place + 65_519]))

    def _read(self, count):
        while len(self.plain) < count:
            self.plain += decrypt(self.keys[1], self._nonce(1), b"", self._take_message())
        taken, self.plain = self.plain[:count], self.plain[count:]
        return taken

    def frame(self, kind, flags, stream, data=b"", length=None):
        with self.lock:
            self._write(struct.pack(">BBHII", 0, kind, flags, stream, len(data) if length is None else length) + data)

    def _loop(self):
        try:
            while True:
                _, kind, flags, number, length = struct.unpack(">BBHII", self._read(12))
                if kind == PROBE and flags & SYN:
                    self.frame(PROBE, ACK, 0, length=length)
                elif kind == AWAY:
                    raise Over("they went away")
                elif kind in (DATA, WINDOW):
                    self._on_stream(flags, number, self._read(length) if kind == DATA else b"")
        except (Over, OSError):
            for stream in list(self.streams.values()):
                stream.arrived.put(None)

    def _on_stream(self, flags, number, data):
        if flags & SYN:
            self.streams[number] = Stream(self, number)
            self.frame(WINDOW, ACK, number)
            threading.Thread(target=self._inbound, args=(self.streams[number],), daemon=True).start()
        stream = self.streams.get(number)
        if stream and data:
            stream.arrived.put(data)
            self.frame(WINDOW, 0, number, length=len(data))
        if stream and flags & (FIN | RESET):
            stream.arrived.put(None)

    def _inbound(self, stream):
        try:
            if stream.line() != MULTISTREAM:
                return
            stream.send(_line(MULTISTREAM))
            protocol = stream.line()
            while protocol != PING and protocol not in self.protocols:
                stream.send(_line("na"))
                protocol = stream.line()
            stream.send(_line(protocol))
            while protocol == PING:
                stream.send(stream.read(32, timeout_s=600))
            answer = self.serve(stream.read(int.from_bytes(stream.read(4), "big")))
            if answer is not None:
                stream.send(len(answer).to_bytes(4, "big") + answer)
            stream.close()
        except Over:
            pass
        finally:
            self.streams.pop(stream.number, None)

    def ask(self, protocol, request):
        """One request and its answer; Over where it is refused."""
        with self.lock:
            number, self.next = self.next, self.next + 2
        stream = self.streams[number] = Stream(self, number)
        self.frame(WINDOW, SYN, number)
        stream.send(_line(MULTISTREAM) + _line(protocol))
        self._expect(stream.read, _line(MULTISTREAM) + _line(protocol))
        stream.send(len(request).to_bytes(4, "big") + request)
        stream.close()
        try:
            return stream.read(int.from_bytes(stream.read(4), "big"))
        finally:
            self.streams.pop(number, None)
