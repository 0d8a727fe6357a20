"""The ground that a comparison stands on: certificates, a token, bodies, and a city of 10,000 grants."""

import json
import os
import pathlib
import random
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]

SYSTEMS, DEPARTMENTS, RESOURCES, PURPOSES, GRANTS = 500, 50, 2_000, 40, 10_000
SYSTEM, DEPARTMENT, PURPOSE = "sys:s0", "dept:d0", "area0.purpose0"

# A record: its fields in order, each with its type in the catalogue and what leaves of it.
FIELDS = [
    ("id", "number", "clear"),
    ("name", "string", "clear"),
    ("id_card", "string", "resident-id"),
    ("phone", "string", "mobile"),
    ("email", "string", "dropped"),
    ("address", "string", "clear"),
    ("birth", "date", "clear"),
    ("balance", "number", "clear"),
    ("active", "boolean", "clear"),
    ("remark", "string", "dropped"),
]
MASKED = [name for name, _, how in FIELDS if how not in ("clear", "dropped")]
DROPPED = [name for name, _, how in FIELDS if how == "dropped"]
CITY_FIELDS = ["name", "id_card", "sex", "birth_date", "phone", "email", "address.province", "address.city",
               "address.district", "address.detail", "household.size", "household.kind"]

# What is asked for: path, resource, size of the platform's body.
ROUTES = [
    ("/records/1k", "bench.resident", 1 << 10),
    ("/records/16k", "bench.resident", 1 << 14),
    ("/records/1m", "bench.resident", 1 << 20),
    ("/clear/1m", "bench.clear", 1 << 20),
    ("/file/1m", "bench.file", 1 << 20),
    ("/refused/1k", "bench.refused", 1 << 10),
    ("/limited/1k", "bench.limited", 1 << 10),
]


def record(index):
    """One record, some 300 bytes long."""
    values = [index, "Ouyang Jianguo", "11010519491231002X", f"138{index % 10**8:08}", f"user{index}@example.cn",
              "No. 12 Qianyuan North Road, Tunxi, Huangshan", "1949-12-31", index % 1000 + 0.5, index % 2 == 0,
              "verified, complete"]
    return dict(zip((name for name, _, _ in FIELDS), values))


def body(size):
    """Records in an envelope, filled up with white space at its end to exactly `size` bytes."""
    records, length = [], 64
    while True:
        text = json.dumps(record(len(records)), ensure_ascii=False, separators=(",", ":"))
        length += len(text) + 1
        if length > size:
            break
        records.append(text)
    whole = f'{{"code":0,"message":"ok","data":[{",".join(records)}],"total":{len(records)}}}'
    return whole.ljust(size).encode()


class Ground:
    """Everything on disk that the proxies and the load read, in one directory."""

    def __init__(self, directory, gate_program):
        self.directory = pathlib.Path(directory)
        self.gate_program = gate_program
        self.certs = self.directory / "certs"
        self.ca = self.certs / "ca.pem"
        self.server_certificate, self.server_key = self.certs / "server.pem", self.certs / "server.key"
        self.client_certificate, self.client_key = self.certs / "clients/s0.pem", self.certs / "clients/s0.key"
        self.token = self.directory / "token.jwt"
        self.web = self.directory / "web"
        self.spiffe = "spiffe://city.example/dept/d0/system/s0"

    def lay_out(self):
        self._keys()
        for path, _, size in ROUTES:
            file = self.web / path.strip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body(size))
        self._policy()

    def _gate(self, *words):
        command = [self.gate_program, *map(str, words)]
        done = subprocess.run(command, cwd=self.directory, text=True, capture_output=True)
        if done.returncode:
            raise SystemExit(f"compare: {' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def _keys(self):
        self._gate("pki", "init", "--dir", self.certs)
        self._gate("pki", "server", "--name", "localhost", "--dir", self.certs)
        self._gate("pki", "client", "--system", SYSTEM, "--department", DEPARTMENT, "--dir", self.certs)
        self._gate("pki", "token-key", "--kid", "bench", "--dir", self.certs)
        self._gate("audit", "key", "--log", "bench", "--new", self.directory / "checkpoint.key")
        (self.directory / "audit.key").write_bytes(os.urandom(32))
        token = self._gate("token", "mint", "--key", self.certs / "tokens/bench.key", "--kid", "bench", "--certificate",
                           self.client_certificate, "--system", SYSTEM, "--purpose", PURPOSE, "--lifetime", "24h",
                           "--issuer", "https://exchange.city.example", "--audience", "pinegate")
        self.token.write_text(token)
        combined = self.server_certificate.read_text() + self.server_key.read_text()
        (self.certs / "server-and-key.pem").write_text(combined)

    def gate_config(self, port, metrics_port, upstream_port):
        """The gate's configuration; its audit log is durable, and its heads are signed."""
        text = f"""
[listen]
addresses = ["127.0.0.1:{port}"]
[tls]
certificate = "certs/server.pem"
key = "certs/server.key"
client_ca = "certs/ca.pem"
crls = ["certs/crl.pem"]
[identity]
trust_domain = "city.example"
[purpose]
issuer = "https://exchange.city.example"
audience = "pinegate"
jwks = "certs/tokens/jwks.json"
algorithms = ["ES256"]
[policy]
directory = "policies"
zone = "Asia/Shanghai"
[audit]
directory = "audit"
node = "bench"
pseudonym_key = "audit.key"
[audit.checkpoint]
key = "checkpoint.key"
[metrics]
address = "127.0.0.1:{metrics_port}"
[admin]
socket = "admin.sock"
[[upstream]]
id = "platform"
url = "http://127.0.0.1:{upstream_port}"
"""
        for path, resource, _ in ROUTES:
            text += f"""
[[route]]
method = "GET"
path = "{path}"
resource = "{resource}"
action = "query"
upstream = "platform"
parameters = {{ area = "query:area" }}
"""
        config = self.directory / "gateway.toml"
        config.write_text(text)
        return config

    def _policy(self):
        policies = self.directory / "policies"
        policies.mkdir()
        for name in ("calendar.toml", "masks.toml", "model.conf"):
            shutil.copy(ROOT / "policies" / name, policies / name)
        write = lambda name, parts: (policies / name).write_text("\n".join(parts))
        write("registry.toml", registry())
        write("purposes.toml", (
            f'[[purpose]]\ncode = "{purpose(index)}"\nlabel = "purpose {index}"\nlegal_basis = "basis {index}"'
            for index in range(PURPOSES)))
        write("catalog.toml", catalog())
        write("limits.toml", LIMITS)
        write("grants.csv", grants())


def department(system):
    return f"dept:d{system % DEPARTMENTS}"


def resource(index):
    return f"class{index % 20}.resource{index}"


def purpose(index):
    return f"area{index % 8}.purpose{index}"


def registry():
    for index in range(DEPARTMENTS):
        yield f'[[department]]\nid = "dept:d{index}"\nname = "Department {index}"\nkind = "government"\ncontact = "desk {index}"'
    for index in range(SYSTEMS):
        yield f'[[system]]\nid = "sys:s{index}"\nname = "System {index}"\ndepartment = "{department(index)}"'


def described(name, sharing, fields, more=""):
    """A resource of the catalogue."""
    head = (f'[[resource]]\nid = "{name}"\nname = "{name}"\nprovider = "dept:d1"\nclass = "bench"\n'
            f'sharing = "{sharing}"\nmode = ["query"]\nupdate_within = "daily"\nrequirements = "none"\n')
    listed = "fields = [\n" + "".join(f"    {{ {field} }},\n" for field in fields) + "]\n" if fields else ""
    return head + more + listed + 'parameters = [{ name = "area", label = "area", recordable = true }]'


def catalog():
    def fields(masks):
        for name, kind, how in FIELDS:
            mask = f', mask = "{how}"' if masks and how not in ("clear", "dropped") else ""
            yield f'name = "{name}", label = "{name}", type = "{kind}", level = 2{mask}'

    shape = 'records = "data"\nenvelope = ["code", "message", "total"]\n'
    for name in ("bench.resident", "bench.refused", "bench.limited"):
        yield described(name, "conditional", fields(True), shape)
    yield described("bench.clear", "conditional", fields(False), shape)
    yield described("bench.file", "conditional", [], 'format = "opaque"\n')
    for index in range(RESOURCES):
        listed = [f'name = "{name}", label = "{name}", level = 2' + ("" if name == "sex" else ', mask = "full"')
                  for name in CITY_FIELDS]
        yield described(resource(index), "unconditional" if index % 10 == 0 else "conditional", listed,
                        'groups = { basic = ["name", "sex"] }\n')


LIMITS = [
    '[[limit]]\nname = "each-system"\nby = ["system"]\nrate = "1000000/s"\nburst = 1000000\nconcurrency = 4000\n'
    'per_day = 900_000_000',
    '[[limit]]\nname = "each-resource"\nby = ["resource"]\nrate = "1000000/s"\nburst = 1000000\nconcurrency = 4000',
    '[[limit]]\nname = "each-grant"\nby = ["grant"]\nper_day = 900_000_000',
    '[[limit]]\nname = "limited"\nby = ["system", "resource"]\nresource = ["bench.limited"]\nper_day = 1',
]


def grants():
    """As many grants as a city has, scattered by chance; those that are asked for stand among them."""
    chance = random.Random(6)
    leaving = "|".join(name for name, _, how in FIELDS if how != "dropped")
    asked = [
        f"p, B-0, {SYSTEM}, bench.resident, query, {PURPOSE}, {leaving};area=3410*;rows<=1000000, always, allow",
        f"p, B-1, {SYSTEM}, bench.clear, query, {PURPOSE}, *;area=3410*, always, allow",
        f"p, B-2, {SYSTEM}, bench.file, query, {PURPOSE}, *;area=3410*, always, allow",
        f"p, B-3, {SYSTEM}, bench.limited, query, {PURPOSE}, {leaving};area=3410*, always, allow",
        # Near, and not for this purpose: what is asked of `bench.refused` is refused.
        f"p, B-4, {SYSTEM}, bench.refused, query, {purpose(1)}, {leaving};area=3410*, always, allow",
    ]
    lines = list(asked)
    for index in range(GRANTS - len(asked)):
        system = chance.randrange(SYSTEMS)
        subject = department(system) if index % 10 == 3 else f"sys:s{system}"
        scope = ["name|id_card:clear|address.*;area=3410*", "name|sex|phone", "name|email|household.*"][index % 3]
        window = ["2026-01-01/2036-12-31", "2026-01-01/2036-12-31 mon-fri 08:30-18:00", "always"][index % 3]
        effect = "deny" if index % 50 == 49 else "allow"
        scope = "*;area=99*" if effect == "deny" else scope
        lines.append(f"p, G-{index}, {subject}, {resource(chance.randrange(RESOURCES))}, query, "
                     f"{purpose(chance.randrange(PURPOSES))}, {scope}, {window}, {effect}")
    chance.shuffle(lines)
    return lines + [""]
