"""What is measured, and how one figure comes about."""

import dataclasses
import http.client
import json
import os
import pathlib
import ssl
import subprocess
import time

import ground as grounds

MEGABYTE = 1e6


@dataclasses.dataclass(frozen=True)
class Work:
    """One kind of load. `unit` is what a figure counts; `who` leaves out the proxies that it says nothing of."""

    name: str
    title: str
    unit: str
    path: str = "/records/1k"
    status: int = 200
    connections: int = 64
    streams: int = 0
    count: int = 20_000
    kind: str = "requests"
    rate: int = 0
    who: tuple = ()
    most: dict = dataclasses.field(default_factory=dict)

    def of(self, proxy):
        if self.who:
            return proxy.name in self.who
        # What masks nothing is no rival in masking, and a masker is measured where there is something to mask.
        return proxy.name != "nginx-lua" or (self.path.startswith("/records") and self.kind == "requests")


CPU, MB = "CPU µs a request", "CPU ms a MB"
WORKS = [
    Work("h1-1k", "1 KiB, HTTP/1.1, 64 connections", CPU, most={"nginx": 1.2, "envoy": 0.6}),
    Work("h2-1k", "1 KiB, HTTP/2, 8 connections of 8 streams", CPU, connections=8, streams=8, most={"nginx": 1.3}),
    Work("h1-16k", "16 KiB, masked", CPU, "/records/16k", count=10_000, most={"nginx": 1.25, "nginx-lua": 1 / 3}),
    Work("h1-1m", "1 MiB, masked", MB, "/records/1m", connections=16, count=500,
         most={"nginx": 1.6, "nginx-lua": 1 / 8}),
    Work("clear-1m", "1 MiB of JSON, no field masked or dropped", MB, "/clear/1m", connections=16, count=500),
    Work("file-1m", "1 MiB granted whole (a file)", MB, "/file/1m", connections=16, count=1_000, most={"nginx": 0.8}),
    Work("handshakes", "full mTLS handshakes, X25519 and AES-128-GCM", "CPU µs each", connections=16, count=3_000,
         kind="handshakes", most={"nginx": 0.35, "envoy": 0.8}),
    Work("refused", "refused: no grant (403)", CPU, "/refused/1k", 403, who=("pinegate",)),
    Work("limited", "refused: quota exhausted (429)", CPU, "/limited/1k", 429, who=("pinegate",)),
    Work("idle", "memory of an idle mTLS connection", "KiB each", connections=2_000, kind="idle", most={"nginx": 1.0}),
    Work("p50", "latency at 2,000 requests a second, p50", "µs", count=10_000, rate=2_000, most={}),
    Work("p99", "latency at 2,000 requests a second, p99", "µs", kind="with p50", rate=2_000),
]
QUERY = "?area=341003"


class Tree:
    """A program with its children."""

    def __init__(self, pid):
        self.pids = [pid]
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                after_name = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(after_name[1]) == pid:
                self.pids.append(int(stat.parent.name))

    def resident_kib(self):
        total = 0
        for pid in self.pids:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            total += int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1])
        return total


class Meter:
    def __init__(self, ground, load_program, share):
        self.ground, self.load_program, self.share = ground, load_program, share
        self.lengths = {}

    def _command(self, proxy, work, *more):
        ground, path = self.ground, work.path + QUERY
        command = [self.load_program, "--url", f"https://localhost:{proxy.port}{path}", "--ca", ground.ca, "--cert",
                   ground.client_certificate, "--key", ground.client_key, "--token", ground.token, "--pinned", "yes",
                   "--json", "yes", "--connections", work.connections, *more]
        if work.streams:
            command += ["--http2", work.streams]
        return list(map(str, command))

    def figures(self, proxy, work):
        """Figures of one turn, by the name of the work."""
        if work.kind == "idle":
            return {work.name: self._idle(proxy, work)}
        count = max(int(work.count * self.share), work.connections * 4)
        pids = ",".join(map(str, Tree(proxy.process.pid).pids))
        more = ["--requests", count, "--pid", pids]
        if work.kind == "handshakes":
            more += ["--only", "handshakes"]
        else:
            more += ["--warm-up", max(count // 10, work.connections * max(work.streams, 1))]
        if work.rate:
            more += ["--rate", work.rate]
        done = subprocess.run(self._command(proxy, work, *more), text=True, capture_output=True, timeout=600)
        if done.returncode:
            raise SystemExit(f"compare: {work.name} of {proxy.name}: the load stopped\n{done.stderr[-2000:]}")
        found = json.loads(done.stdout)
        if work.kind == "requests":
            self._held(proxy, work, found, count)
        if work.rate:
            return {"p50": found["p50_us"], "p99": found["p99_us"]}
        each = found["cpu_per_100000"] / 100_000 * 1e6
        if work.unit == MB:
            size = next(size for path, _, size in grounds.ROUTES if path == work.path)
            return {work.name: each / 1e3 / (size / MEGABYTE)}
        return {work.name: each}

    def _held(self, proxy, work, found, count):
        """Every reply must have the status and the length that were checked before."""
        length = self.lengths[proxy.name, work.path]
        wanted = {"statuses": {str(work.status): count}}
        if work.status == 200:
            wanted["lengths"] = {str(length): count}
        for name, value in wanted.items():
            if found[name] != value:
                raise SystemExit(f"compare: {work.name} of {proxy.name}: {name} {found[name]}, not {value}")

    def _idle(self, proxy, work):
        """How much a fresh process grows by connections that have made one request each and are held."""
        proxy.stop()
        proxy.start()
        count = max(int(work.connections * self.share), 200)
        warm = dataclasses.replace(work, kind="requests", connections=64)
        subprocess.run(self._command(proxy, warm, "--requests", "2000"), check=True, capture_output=True)
        time.sleep(1)
        tree = Tree(proxy.process.pid)
        before = tree.resident_kib()
        command = self._command(proxy, dataclasses.replace(work, connections=count), "--only", "hold")
        load = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if load.stdout.readline().strip() != "held":
                raise SystemExit(f"compare: {work.name} of {proxy.name}: the connections were not held")
            time.sleep(1)
            return (tree.resident_kib() - before) / count
        finally:
            load.stdin.close()
            load.wait(60)

    # Whether the replies are right.

    def fetch(self, proxy, path):
        ground = self.ground
        tls = ssl.create_default_context(cafile=ground.ca)
        tls.load_cert_chain(ground.client_certificate, ground.client_key)
        connection = http.client.HTTPSConnection("localhost", proxy.port, context=tls, timeout=60)
        token = ground.token.read_text().strip()
        connection.request("GET", path + QUERY, headers={"Authorization": f"Bearer {token}"})
        reply = connection.getresponse()
        whole = reply.read()
        connection.close()
        return reply.status, whole

    def check(self, proxy):
        """Asks for everything once; what comes must be what this proxy is there to let out."""
        self._check_that_strangers_are_refused(proxy)
        for work in WORKS:
            if (proxy.name, work.path) in self.lengths or not work.of(proxy) or work.kind == "with p50":
                continue
            status, whole = self.fetch(proxy, work.path)
            if work.path == "/limited/1k":
                # The first of the day is let through.
                status, whole = self.fetch(proxy, work.path)
            self.lengths[proxy.name, work.path] = len(whole)
            fault = None if status == work.status else f"status {status}, not {work.status}"
            if not fault and status == 200:
                fault = fault_of(proxy, work.path, whole, (self.ground.web / work.path.strip("/")).read_bytes())
            if fault:
                raise SystemExit(f"compare: {proxy.name}: {work.path}: {fault}\n{whole[:300]!r}")

    def _check_that_strangers_are_refused(self, proxy):
        tls = ssl.create_default_context(cafile=self.ground.ca)
        connection = http.client.HTTPSConnection("localhost", proxy.port, context=tls, timeout=60)
        try:
            connection.request("GET", "/records/1k" + QUERY)
            status = connection.getresponse().status
        except OSError:
            return
        finally:
            connection.close()
        if status < 400:
            raise SystemExit(f"compare: {proxy.name} answers {status} to a client without a certificate")


def fault_of(proxy, path, whole, original):
    """What is wrong with a reply, if anything."""
    if not (proxy.masks and path.startswith("/records")):
        return None if whole == original else "the body is not the platform's"
    left, before = json.loads(whole), json.loads(original)
    if len(left["data"]) != len(before["data"]) or left["total"] != before["total"]:
        return "records are missing"
    names = [name for name, _, _ in grounds.FIELDS if not (proxy.drops and name in grounds.DROPPED)]
    for ours, theirs in zip(left["data"], before["data"]):
        if list(ours) != names:
            return f"the fields are {list(ours)}, not {names}"
        for name in names:
            value = ours[name]
            if name in grounds.MASKED:
                if value == theirs[name] or "*" not in value or len(value) != len(theirs[name]):
                    return f"{name} is {value!r}: not masked"
            elif value != theirs[name]:
                return f"{name} is {value!r}, not {theirs[name]!r}"
    return None


def machine():
    """What the figures were taken on."""
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = next((line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    return {"cores": os.cpu_count(), "processor": model, "kernel": os.uname().release,
            "date": time.strftime("%Y-%m-%d %H:%M"), "load": os.getloadavg()[0]}
