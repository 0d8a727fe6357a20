"""What a bad network does to the gate's clients and to its platform, by ones who mean well.

As in `attacks`, each is a function; of a `Far`, who is at the other host of the link. Where packets are lost, what does
not come is no fault, but what comes whole must be right; and what cannot go on must be given up in time. Each says for how
many seconds it goes on, and what the gate must have counted and recorded; of words with a bar between them, one.
"""

import collections
import contextlib
import http.client
import socket
import ssl
import struct
import threading
import time

import attacks
import frames
import links
from attacks import BROKEN, LARGE, SMALL, UPLOAD
from frames import ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame
from measure import QUERY

MASKED, AFAR, LARGE_AFAR = "/records/1m" + QUERY, "/far/1k" + QUERY, "/far/1m" + QUERY
LOST = (*BROKEN, http.client.HTTPException)
BODY = b'{"data":[]}'.ljust(1 << 17)
OK_IN_HPACK = 0x88
WINDOW = 1 << 20
# Seconds by which something may be late on a machine that has other things to do.
SLACK = 4
# By how much the gate may grow for one reader: what it keeps of a reply, as docs/threats.md says, its connections, and what the allocator has left over.
READER_KIB = 512
# How many read at once behind one narrow link, each with as much as `narrow` has alone.
CROWD = 40
KBIT = 1_000


def drill(lasts, counted=(), recorded=(), readers=0):
    def noted(work):
        work.lasts, work.counted, work.recorded, work.readers = lasts, counted, recorded, readers
        return work

    return noted


class Plain:
    """HTTP/1.1, by a library that others use as well: what it takes for whole, they do."""

    name, protocol = "HTTP/1.1", "http/1.1"

    def __init__(self, stream, token):
        self.stream, self.token = stream, token
        self.connection = http.client.HTTPConnection("localhost")
        self.connection.auto_open, self.connection.sock = 0, stream

    def ask(self, *paths, body=None):
        """The answers to requests, one after the other: status and body of each."""
        for path in paths:
            self.begin(path, body)
            reply = self.connection.getresponse()
            yield path, reply.status, reply.read()

    def begin(self, path, body=None):
        fields = {"Authorization": f"Bearer {self.token}"} | ({"Content-Type": "application/json"} if body else {})
        self.connection.request("POST" if body else "GET", path, body, fields)

    def begin_upload(self, length):
        self.stream.sendall(f"POST {UPLOAD} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.token}\r\nContent-Type: "
                            f"application/json\r\nContent-Length: {length}\r\n\r\n".encode())


class Framed:
    """HTTP/2: what ends with END_STREAM is whole, and nothing else."""

    name, protocol = "HTTP/2", "h2"

    def __init__(self, stream, token):
        self.stream, self.token, self.last, self.rest = stream, token, -1, b""
        stream.sendall(frames.opening([(frames.INITIAL_WINDOW, WINDOW)]) + self._more(0, WINDOW))

    def ask(self, *paths):
        """The answers to requests that are made at once, as they end."""
        asked = {self.begin(path): [path, 0, b""] for path in paths}
        while asked:
            kind, flags, stream, payload = self._frame()
            if kind == SETTINGS and not flags & ACK:
                self.stream.sendall(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                self.stream.sendall(frame(PING, ACK, 0, payload))
            elif kind == HEADERS and stream in asked:
                asked[stream][1] = 200 if payload[0] == OK_IN_HPACK else 1
            elif kind == DATA:
                if stream in asked:
                    asked[stream][2] += payload
                if payload:
                    self.stream.sendall(self._more(0, len(payload)) + self._more(stream, len(payload)))
            elif kind == GOAWAY or kind == RST_STREAM and stream in asked:
                raise ConnectionResetError("given up by the gate")
            if kind in (HEADERS, DATA) and flags & END_STREAM and stream in asked:
                yield asked.pop(stream)

    def begin(self, path):
        self.last += 2
        self.stream.sendall(frames.request(self.last, path, self.token))
        return self.last

    @staticmethod
    def _more(stream, count):
        return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", count))

    def _frame(self):
        head = self._take(9)
        length, kind, flags, stream = struct.unpack(">I", b"\0" + head[:3])[0], *struct.unpack(">BBI", head[3:])
        return kind, flags, stream, self._take(length)

    def _take(self, count):
        parts = [self.rest]
        while (have := sum(map(len, parts))) < count:
            part = self.stream.recv(65536)
            if not part:
                raise ConnectionResetError("the connection has ended")
            parts.append(part)
        whole = b"".join(parts)
        self.rest = whole[count:]
        return whole[:count]


class Far(attacks.Attacker):
    def __init__(self, target, until, link):
        super().__init__(target, until)
        self.link, self.faults, self.took = link, [], collections.defaultdict(list)
        self.streams, self.lock = set(), threading.Lock()

    def count(self, what, how_many=1):
        with self.lock:
            self.counts[what] += how_many

    def socket(self):
        with self.link.far.entered():
            return socket.socket()

    @contextlib.contextmanager
    def dialled(self, speaks, patience=15):
        """A connection of a client that waits longer than the gate does. Failures are counted as what they are."""
        with contextlib.ExitStack() as stack:
            self.count("connections")
            try:
                raw = stack.enter_context(contextlib.closing(self.tcp(patience=patience)))
            except BROKEN:
                self.count("of them failed")
                raise
            self.streams.add(raw)
            stack.callback(self.streams.discard, raw)
            try:
                stream = stack.enter_context(self.tls[speaks.protocol].wrap_socket(raw, server_hostname="localhost"))
            except BROKEN:
                self.count("handshakes failed")
                raise
            self.streams.discard(raw)
            self.streams.add(stream)
            stack.callback(self.streams.discard, stream)
            yield speaks(stream, self.target.token)

    def take(self, what, answers):
        """Notes each of the answers, and how long it took."""
        began = time.monotonic()
        for path, status, whole in answers:
            took = time.monotonic() - began
            if status != 200 or whole != self.target.wanted[path]:
                self.faults.append(f"{what}: a whole reply that is not right: {status}, {len(whole)} bytes")
                continue
            self.count(what)
            self.count("bytes", len(whole))
            self.took[what].append(took)

    def kept(self, what, speaks, paths, every=0.0):
        """Asks on a connection for as long as it lasts, then on another."""
        def work():
            while self.goes_on():
                with self.may_break(what), self.dialled(speaks) as client:
                    while self.goes_on():
                        began = time.monotonic()
                        self.take(what, client.ask(*paths))
                        time.sleep(max(0.0, began + every - time.monotonic()))

        return work

    def anew(self, what, speaks, path):
        """Asks once on each connection."""
        def work():
            while self.goes_on():
                with self.may_break(what), self.dialled(speaks) as client:
                    self.take(what, client.ask(path))

        return work

    @contextlib.contextmanager
    def may_break(self, what):
        try:
            yield
        except LOST:
            self.count(f"{what}: broken off" if self.goes_on() else "under way at the end")
            time.sleep(0.05)

    def once(self, what, speaks, path, body=None):
        """Must be answered."""
        def work():
            try:
                with self.dialled(speaks, 30) as client:
                    self.take(what, client.ask(path, body=body) if body else client.ask(path))
            except LOST as error:
                self.faults.append(f"{what}: {type(error).__name__}: {error}")

        return work

    def at_once(self, *works):
        """Does each in a thread of its own; whoever is not done when the time is over is cut off."""
        def noted(work):
            try:
                work()
            except Exception as error:
                self.faults.append(f"{type(error).__name__}: {error}")
                raise

        threads = [threading.Thread(target=noted, args=(work,), daemon=True) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, self.until - time.monotonic()))
        while any(thread.is_alive() for thread in threads) and time.monotonic() < self.until + 10:
            for stream in list(self.streams):
                with contextlib.suppress(OSError):
                    stream.shutdown(socket.SHUT_RDWR)
            time.sleep(0.1)

    def let_go(self, watched, most):
        """Waits until the gate has let go of each of these connections; `watched` has names of their ports."""
        began, left = time.monotonic(), dict(watched)
        while left and time.monotonic() < began + max(most.values()) + SLACK + 5:
            held, now = set(links.held(self.target.port)), time.monotonic() - began
            for port in [port for port in left if port not in held]:
                name = left.pop(port)
                self.took[name].append(now)
                if now > most[name] + SLACK:
                    self.faults.append(f"{name}: let go of after {now:.1f} s, not {most[name]}")
            time.sleep(0.05)
        self.faults += [f"{name}: not let go of" for name in left.values()]


def losing(it, share):
    it.link.lose(share)
    small, four = "small replies over ", [SMALL] * 4
    it.at_once(it.kept(small + Plain.name, Plain, [SMALL], 0.1), it.kept(small + Framed.name, Framed, four, 0.4),
               it.anew("replies on new connections", Plain, SMALL), it.anew("replies on new connections", Framed, SMALL),
               *[it.kept(f"MiB masked over {speaks.name}", speaks, [MASKED]) for speaks in (Plain, Framed)])
    for what in (small + Plain.name, small + Framed.name, "replies on new connections"):
        if not it.counts[what]:
            it.faults.append(f"no {what}")


@drill(lasts=20)
def lossy(it):
    """A link that loses a twentieth of the packets, each way."""
    losing(it, 0.05)


@drill(lasts=40)
def very_lossy(it):
    """A link that loses a fifth of the packets, each way."""
    losing(it, 0.2)


@drill(lasts=75)
def narrow(it):
    """A link of 1 Mbit/s: 1 MiB masked over HTTP/1.1, then over HTTP/2, and uploads of 128 KiB meanwhile."""
    it.link.narrow(1000 * KBIT)
    done = threading.Event()

    def downloads():
        for speaks in (Plain, Framed):
            it.once(f"MiB masked over {speaks.name}", speaks, MASKED)()
        done.set()

    def uploads():
        try:
            # One connection: over a link that is full a handshake may well be too slow.
            with it.dialled(Plain, 30) as client:
                while not done.is_set() and it.goes_on():
                    it.take("uploads", client.ask(UPLOAD, body=BODY))
        except LOST as error:
            it.faults.append(f"uploads: {type(error).__name__}: {error}")

    it.at_once(downloads, uploads)
    if not done.is_set():
        it.faults.append("the downloads did not end in time")


@drill(lasts=60, readers=CROWD)
def narrow_crowd(it):
    """Forty who download 1 MiB masked at once behind a link of forty times 1 Mbit/s, half of them over HTTP/2."""
    it.link.narrow(CROWD * 1000 * KBIT)
    it.at_once(*[it.once(f"MiB masked over {speaks.name}", speaks, MASKED) for speaks in (Plain, Framed)] * (CROWD // 2))


def ports(clients):
    """Who is on which port at the far host."""
    return {client.stream.getsockname()[1]: name for name, client in clients.items()}


@drill(lasts=45, counted=["cut off stalled|cut off too-slow", "refusals request-slow"], recorded=["client-gone", "request-slow"])
def too_narrow(it):
    """A link that becomes narrower (4 kbit/s) than the minimum rate (1 KiB/s) in the midst of downloads and an upload."""
    it.link.narrow(2_000 * KBIT)
    with contextlib.ExitStack() as stack:
        names = ["a download over HTTP/1.1", "a download over HTTP/2", "an upload"]
        clients = dict(zip(names, [stack.enter_context(it.dialled(speaks)) for speaks in (Plain, Framed, Plain)]))
        for name in names[:2]:
            clients[name].begin(MASKED)
        clients["an upload"].begin_upload(1_000_000)
        time.sleep(0.5)
        it.link.narrow(4 * KBIT)

        def going_on(name):
            # Reads, and writes, for as long as it can.
            with contextlib.suppress(*LOST):
                while clients[name].stream.sendall(b" " * 1_024) is None if name == "an upload" else clients[name].stream.recv(65536):
                    pass

        threads = [threading.Thread(target=going_on, args=(name,), daemon=True) for name in names]
        for thread in threads:
            thread.start()
        # What the gate is sure of when it waits for the kernel to take more: patience is bytes by rate, and the grace.
        it.let_go(ports(clients), dict.fromkeys(names, 20))
        it.link.heal()


@drill(lasts=30, counted=["cut off stalled", "cut off silent", "tls handshakes timeout"], recorded=["client-gone", "request-slow"])
def partition(it):
    """A link that goes dead for good in the midst of downloads, an upload, a handshake, and between requests."""
    it.link.narrow(2_000 * KBIT)
    with contextlib.ExitStack() as stack:
        def dial(speaks, asks=True):
            client = stack.enter_context(it.dialled(speaks))
            if asks:
                it.take("replies before", client.ask(SMALL))
            return client

        clients = {"idle over HTTP/1.1": dial(Plain), "idle over HTTP/2": dial(Framed), "without a request": dial(Plain, False),
                   "a download over HTTP/1.1": dial(Plain), "a download over HTTP/2": dial(Framed), "an upload": dial(Plain)}
        clients["a download over HTTP/1.1"].begin(MASKED)
        clients["a download over HTTP/2"].begin(MASKED)
        clients["an upload"].begin_upload(1_000_000)
        half = stack.enter_context(contextlib.closing(it.tcp()))
        half.sendall(attacks.first_flight(it)[:100])
        time.sleep(1)
        it.link.lose(1)
        # Timeouts of the gate: `handshake_timeout`; `header_timeout`, over HTTP/2 before a probe and for its answer;
        # `stall_timeout`; `min_rate_grace`, and `stall_timeout` once more for the reply that says so.
        most = {"idle over HTTP/1.1": 5, "idle over HTTP/2": 10, "without a request": 5, "a download over HTTP/1.1": 5,
                "a download over HTTP/2": 5, "an upload": 10, "a handshake": 3}
        it.let_go(ports(clients) | {half.getsockname()[1]: "a handshake"}, most)
        it.link.heal()
        began = time.monotonic()
        it.once("replies after", Plain, SMALL)()
        it.took["until served anew"].append(time.monotonic() - began)


@drill(lasts=45, counted=["refusals upstream-timeout", "refusals upstream-unreachable"],
       recorded=["upstream-stalled", "upstream-timeout", "upstream-unreachable"])
def platform_partition(it):
    """The link between gate and platform goes dead in the midst of a download, and comes back."""
    near = attacks.Attacker(it.target.__class__(**vars(it.target) | {"host": "127.0.0.1"}), it.until)

    def ask(path, patience=30):
        """The status and how long it took; of what broke off, no status."""
        began = time.monotonic()
        try:
            with contextlib.closing(near.tcp(patience=patience)) as raw, \
                    near.tls["http/1.1"].wrap_socket(raw, server_hostname="localhost") as stream:
                [(_, status, whole)] = Plain(stream, it.target.token).ask(path)
        except LOST:
            status, whole = 0, b""
        if status == 200 and whole != it.target.wanted[path]:
            it.faults.append(f"a whole reply that is not right: {len(whole)} bytes")
        return status, time.monotonic() - began

    def note(what, answer, statuses, most):
        status, took = answer
        it.count(f"{what}: {status or 'broken off'}")
        it.took[what].append(took)
        if status not in statuses or took > most + SLACK:
            it.faults.append(f"{what}: {status} after {took:.1f} s, not one of {statuses} within {most} s")

    for _ in range(10):
        note("before", ask(AFAR), [200], 1)
    it.link.narrow(1_000 * KBIT)
    answers = {}

    def download():
        answer = ask(LARGE_AFAR)
        answers.update(status=answer[0], ended=time.monotonic())

    asking = threading.Thread(target=download, daemon=True)
    asking.start()
    time.sleep(1)
    # So that there is a connection that nobody uses.
    note("before", ask(AFAR), [200], 2)
    it.link.lose(1)
    dead = time.monotonic()
    # On a connection from before, nothing comes for `response_timeout` (504). A new one is waited for as long as
    # `connect_timeout`, twice (502).
    for _ in range(3):
        note("meanwhile", ask(AFAR), [502, 504], 6)
    asking.join()
    note("the download", (answers["status"], answers["ended"] - dead), [0], 5)
    it.link.heal()
    began = time.monotonic()
    while (answer := ask(AFAR))[0] != 200 and time.monotonic() < began + 20:
        it.count(f"after: {answer[0]}")
    it.took["until served anew"].append(time.monotonic() - began)
    for _ in range(10):
        note("after", ask(AFAR), [200], 1)


def faults(attack, found):
    """What should have been seen and was not."""
    for where in ("counted", "recorded"):
        for names in getattr(attack, where):
            if not any(found[where].get(name) for name in names.split("|")):
                yield f"{where}: no {names}"
    if failed := found["done"].get("handshakes failed"):
        if not any(name.startswith("tls handshakes") for name in found["counted"]):
            yield f"{failed} handshakes failed, and none was counted"
    if attack.readers and (each := (found["peak_mib"] - found["before_mib"]) * 1024 / attack.readers) > READER_KIB:
        yield f"{each:.0f} KiB for each who reads slowly"


ALL = [lossy, very_lossy, narrow, narrow_crowd, too_narrow, partition, platform_partition]
