#!/usr/bin/env python3
"""Checks a pack without pinegate: digests, proofs and signatures.

    python3 check.py PACK [POLICY]

Whoever forges a pack forges the program in it: run this one from a release of pinegate, whose digest is
published with it, and not the copy that came with the pack. PACK is the directory. POLICY says whose signatures are believed; without it that of the pack is used, which proves nothing
until its keys were compared with keys from elsewhere. Needs Python 3 and `openssl` (1.1.1 or later).
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile

# The header of an Ed25519 public key in DER (RFC 8410, section 4).
ED25519_DER = bytes.fromhex("302a300506032b6570032100")


def fail(what):
    print("NOT PROVED: " + what)
    sys.exit(1)


def read(pack, *name):
    with open(os.path.join(pack, *name), "rb") as file:
        return file.read()


def sha256(data):
    return hashlib.sha256(data).digest()


class Key:
    """A public key, from a vkey: name+id+base64(type, key)."""

    def __init__(self, text):
        self.name, ident, rest = text.split("+", 2)
        raw = base64.b64decode(rest, validate=True)
        self.kind, self.key = raw[0], raw[1:]
        self.ident = sha256(self.name.encode() + b"\n" + raw)[:4]
        if self.ident.hex() != ident or len(self.key) != 32 or self.kind not in (1, 4):
            fail("the policy has a key that is none: " + text)

    def signed(self, message, signature):
        """Asks openssl whether this key made `signature` over `message`."""
        with tempfile.TemporaryDirectory() as place:
            names = {n: os.path.join(place, n) for n in ("key", "message", "signature")}
            pem = base64.encodebytes(ED25519_DER + self.key)
            pem = b"-----BEGIN PUBLIC KEY-----\n" + pem + b"-----END PUBLIC KEY-----\n"
            for name, data in (("key", pem), ("message", message), ("signature", signature)):
                with open(names[name], "wb") as file:
                    file.write(data)
            command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", names["key"], "-rawin"]
            command += ["-in", names["message"], "-sigfile", names["signature"]]
            return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


class Policy:
    """Which logs and witnesses are believed, and which of the witnesses are enough."""

    def __init__(self, data):
        self.logs, self.witnesses, self.groups, self.quorum = [], {}, {}, None
        for line in data.decode().splitlines():
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] == "log":
                self.logs.append(Key(words[1]))
            elif words[0] == "witness":
                self.witnesses[words[1]] = Key(words[2])
            elif words[0] == "group":
                members = words[3:]
                least = {"any": 1, "all": len(members)}.get(words[2]) or int(words[2])
                self.groups[words[1]] = (least, members)
            elif words[0] == "quorum":
                self.quorum = words[1]
            else:
                fail("the policy has a line that is not understood: " + line)
        if self.quorum is None or any(k.kind != 1 for k in self.logs):
            fail("the policy has no quorum, or a log with the key of a witness")
        if any(k.kind != 4 for k in self.witnesses.values()):
            fail("the policy has a witness with the key of a log")

    def enough(self, name, cosigned):
        if name == "none":
            return True
        if name in self.witnesses:
            return name in cosigned
        least, members = self.groups[name]
        return sum(self.enough(member, cosigned) for member in members) >= least


def head(note, policy):
    """The size and root that a signed head states, once its signatures are checked."""
    text, _, lines = note.rpartition(b"\n\n")
    text += b"\n"
    origin, size, root = text.decode().split("\n")[:3]
    signatures = []
    for line in lines.decode().splitlines():
        dash, name, data = line.split(" ")
        if dash != "\u2014":
            fail("the head has a line that is no signature")
        data = base64.b64decode(data, validate=True)
        signatures.append((name, data[:4], data[4:]))

    def by(key):
        return [s for name, ident, s in signatures if name == key.name and ident == key.ident]

    signed = False
    for key in policy.logs:
        for signature in by(key):
            if not key.signed(text, signature):
                fail("the signature of the log %s is wrong" % key.name)
            signed |= key.name == origin
    if not signed:
        fail("the head of %s is not signed by a log of the policy" % origin)
    cosigned = {}
    for name, key in policy.witnesses.items():
        for signature in by(key):
            time = int.from_bytes(signature[:8], "big")
            message = b"cosignature/v1\ntime %d\n" % time + text
            if not key.signed(message, signature[8:]):
                fail("the cosignature of the witness %s is wrong" % key.name)
            cosigned[name] = time
    if not policy.enough(policy.quorum, cosigned):
        fail("too few witnesses have cosigned the head of %s" % origin)
    names = ", ".join(policy.witnesses[name].name for name in cosigned) or "nobody"
    print("the head of %s is signed: %s records, cosigned by %s" % (origin, size, names))
    return int(size), base64.b64decode(root, validate=True)


def root_of(leaf, index, size, proof):
    """Where a proof leads (RFC 9162, section 2.1.3.2)."""
    if index >= size:
        fail("a proof is about a record beyond the log")
    node, last, result = index, size - 1, leaf
    for other in proof:
        if last == 0:
            fail("a proof is too long")
        if node & 1 or node == last:
            result = sha256(b"\x01" + other + result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = sha256(b"\x01" + result + other)
        node, last = node >> 1, last >> 1
    if last != 0:
        fail("a proof is too short")
    return result


def receipt(data, line):
    """Index, proof and head of a receipt that has this line in it."""
    begin, _, note = data.partition(b"\n\n")
    lines = begin.decode().split("\n")
    if lines[0] != "c2sp.org/tlog-proof@v1" or lines[1] != "extra " + base64.b64encode(line).decode():
        fail("a receipt is not that of its record")
    if not lines[2].startswith("index "):
        fail("a receipt has no index")
    proof = [base64.b64decode(entry, validate=True) for entry in lines[3:]]
    return int(lines[2][6:]), proof, note


def digests(pack):
    sums = {}
    for line in read(pack, "SHA256SUMS").decode().splitlines():
        digest, name = line.split("  ", 1)
        sums[name] = digest
    found = set()
    for place, _, names in os.walk(pack):
        for name in names:
            found.add(os.path.relpath(os.path.join(place, name), pack).replace(os.sep, "/"))
    if found - {"SHA256SUMS"} != set(sums):
        fail("other files are here than SHA256SUMS says: %s" % sorted(found ^ set(sums)))
    for name, digest in sums.items():
        if sha256(read(pack, *name.split("/"))).hex() != digest:
            fail("%s is another file than SHA256SUMS says" % name)
    print("%d files have their digests" % len(sums))
    return sum(name.startswith("proofs/") for name in sums)


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python3 check.py PACK [POLICY]")
    pack, own = sys.argv[1], len(sys.argv) == 2
    with open(os.path.join(pack, "policy") if own else sys.argv[2], "rb") as file:
        policy = Policy(file.read())
    proofs = digests(pack)
    heads, records = {}, 0
    for line in read(pack, "records.jsonl").splitlines():
        record = json.loads(line)
        name = "%s.%06d.%d.tlog-proof" % (record["node"], record["generation"], record["seq"])
        index, proof, note = receipt(read(pack, "proofs", name), line)
        if note not in heads:
            heads[note] = head(note, policy)
        size, root = heads[note]
        if root_of(sha256(b"\x00" + line), index, size, proof) != root:
            fail("%s leads to another root" % name)
        records += 1
    if records != proofs:
        fail("there are %d records and %d proofs" % (records, proofs))
    print("PROVED: all %d records are in the log" % records)
    if own:
        print("These keys are the pack's own: compare `policy` with what you were told elsewhere.")


if __name__ == "__main__":
    try:
        main()
    except (KeyError, ValueError, IndexError, OSError) as error:
        fail("the pack cannot be read: %r" % error)
