"""Who must be served whatever happens: a client that behaves, and whoever asks whether the gate is well."""

import collections
import http.client
import socket
import ssl
import time

import measure

# The attackers are at 127.0.0.1; shares are by address.
ADDRESS = "127.0.0.2"
EACH, FRESH = 0.02, 0.25


class Asked:
    """What became of requests, and how long they took from when they were due."""

    def __init__(self):
        self.answers, self.took = collections.Counter(), []

    def figures(self):
        ordered = sorted(self.took) or [0.0]
        at = lambda share: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3, 2)
        return {"answers": dict(self.answers), "p50_ms": at(0.5), "p99_ms": at(0.99), "most_ms": at(1.0)}


def connect(target, tls):
    raw = socket.create_connection(("127.0.0.1", target.port), timeout=10, source_address=(ADDRESS, 0))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection = http.client.HTTPConnection("localhost", target.port)
    connection.sock = tls.wrap_socket(raw, server_hostname="localhost")
    return connection


def ask(connection, target, answers):
    connection.request("GET", "/records/1k" + measure.QUERY, headers={"Authorization": f"Bearer {target.token}"})
    reply = connection.getresponse()
    reply.read()
    answers[str(reply.status)] += 1


def at_intervals(every, until, each):
    """Calls `each` whenever it is due, and gathers how long that took from then on."""
    asked, due = Asked(), time.monotonic()
    while due < until:
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            each(asked.answers)
        except (OSError, http.client.HTTPException) as error:
            asked.answers[type(error).__name__] += 1
        asked.took.append(time.monotonic() - due)
        due += every
    return asked.figures()


def context(target):
    tls = ssl.create_default_context(cafile=target.ca)
    tls.load_cert_chain(target.certificate, target.key)
    return tls


def on_one_connection(target, until):
    """Fifty requests a second on a connection that stays; one that is broken counts, and is made anew."""
    tls, held = context(target), {}

    def each(answers):
        if "it" not in held:
            held["it"] = connect(target, tls)
        try:
            ask(held["it"], target, answers)
        except (OSError, http.client.HTTPException):
            held.pop("it").close()
            raise

    return at_intervals(EACH, until, each)


def on_new_ones(target, until):
    """Four new connections a second, with a request on each."""
    tls = context(target)

    def each(answers):
        connection = connect(target, tls)
        try:
            ask(connection, target, answers)
        finally:
            connection.close()

    return at_intervals(FRESH, until, each)


def whether_it_is_well(target, until):
    """`/healthz`, as an orchestrator would ask."""
    def each(answers):
        connection = http.client.HTTPConnection("127.0.0.1", target.metrics_port, timeout=10)
        try:
            connection.request("GET", "/healthz")
            answers[str(connection.getresponse().status)] += 1
        finally:
            connection.close()

    return at_intervals(FRESH, until, each)
