"""A second host behind a bad network: namespaces of the kernel, joined by veth, with a hop between them that drops and narrows.

    near 198.51.100.1 ── 198.51.100.2  hop  198.51.100.5 ── 198.51.100.6 far

What is lost is lost in the hop, as on a network: neither host hears of it. Nothing of this has a name, and none of it is
in the machine's own network: the namespaces are there for as long as a process is in them or holds them, so whatever
ends this run ends them, with their interfaces and rules.
"""

import contextlib
import ctypes
import os
import pathlib
import shutil
import subprocess

NEAR, NEAR_HOP, FAR_HOP, FAR = "198.51.100.1", "198.51.100.2", "198.51.100.5", "198.51.100.6"
CLONE_NEWNET = 0x40000000
TOOLS = {"ip": "iproute2", "tc": "iproute2", "iptables": "iptables"}
LIBC = ctypes.CDLL(None, use_errno=True)


class NoLink(Exception):
    """Why this machine cannot have such a network."""


def _checked(result):
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Namespace:
    """A network namespace, held by a descriptor. Sockets and processes are in that which their thread was in."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    @classmethod
    def current(cls):
        return cls(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    def path(self):
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def enter(self):
        _checked(LIBC.setns(self.descriptor, CLONE_NEWNET))

    @contextlib.contextmanager
    def entered(self):
        before = Namespace.current()
        self.enter()
        try:
            yield
        finally:
            before.enter()
            os.close(before.descriptor)

    def run(self, line):
        tool, *words = line.split()
        with self.entered():
            done = subprocess.run([found(tool), *words], text=True, stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode:
            raise NoLink(f"{line}: {(done.stderr or done.stdout).strip().partition(chr(10))[0]}")


def moved():
    """Leaves the machine's network for a new one, in which there is nothing but the loopback."""
    _checked(LIBC.unshare(CLONE_NEWNET))
    namespace = Namespace.current()
    namespace.run("ip link set lo up")
    return namespace


class Link:
    """The way between the two hosts. Call from a process without other threads: it moves to the near host."""

    def __init__(self):
        missing = sorted({package for tool, package in TOOLS.items() if not found(tool)})
        if missing:
            raise NoLink(f"apt-get install --no-install-recommends {' '.join(missing)}")
        machine = Namespace.current()
        try:
            self._lay()
        except (OSError, NoLink) as error:
            # Whoever may not leave has not left, and may not come back either.
            with contextlib.suppress(OSError):
                machine.enter()
            raise NoLink(f"no network can be made here: {error}") from error

    def _lay(self):
        self.far, self.hop, self.near = moved(), moved(), moved()
        self._join(self.near, "near", NEAR, NEAR_HOP)
        self._join(self.far, "far", FAR, FAR_HOP)
        with self.hop.entered():
            # Each namespace has its own; this is the hop's.
            pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        # That each thing works is seen before anything rests on it.
        self.lose(0.5)
        self.narrow(1_000_000)
        self.heal()

    def _join(self, host, name, address, hop_address):
        # One packet is one packet: the kernel would hand over up to 64 KiB as one, and lose them as one.
        host.run(f"ip link add {name} gso_max_segs 1 type veth peer name to-{name} gso_max_segs 1 netns {self.hop.path()}")
        for namespace, device, own in ((host, name, address), (self.hop, f"to-{name}", hop_address)):
            namespace.run(f"ip address add {own}/30 dev {device}")
            namespace.run(f"ip link set {device} up")
        host.run(f"ip route add 198.51.100.0/29 via {hop_address}")

    def lose(self, share):
        """Loses this share of the packets, each way."""
        self.hop.run("iptables -w -F FORWARD")
        if share >= 1:
            self.hop.run("iptables -w -A FORWARD -j DROP")
        elif share:
            self.hop.run(f"iptables -w -A FORWARD -m statistic --mode random --probability {share} -j DROP")

    def narrow(self, bits):
        """So many bits a second each way, before which half a second's worth may wait."""
        waiting = max(16_384, bits // 8 // 2)
        for device in ("to-near", "to-far"):
            self.hop.run(f"tc qdisc replace dev {device} root tbf rate {bits}bit burst 3000 limit {waiting}")

    def widen(self):
        for device in ("to-near", "to-far"):
            # There may be none.
            with contextlib.suppress(NoLink):
                self.hop.run(f"tc qdisc delete dev {device} root")

    def heal(self):
        self.lose(0)
        self.widen()


def found(tool):
    return shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def held(port):
    """The ports at the far host whose connections to `port` here a process still holds, by what the kernel says."""
    packed = lambda address: "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
    for line in pathlib.Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        # What a process has closed goes on without an inode until the other side has heard of it.
        if words[1] == f"{packed(NEAR)}:{port:04X}" and words[2].startswith(packed(FAR)) and words[9] != "0":
            yield int(words[2].rpartition(":")[2], 16)
