"""HTTP/2 by hand, since no library would write what an attacker does (RFC 9113, section 6; RFC 7541)."""

import struct

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
ACK, END_STREAM, END_HEADERS = 0x1, 0x1, 0x4
INITIAL_WINDOW = 0x4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def opening(settings=()):
    said = b"".join(struct.pack(">HI", name, value) for name, value in settings)
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, said)


def number(first, bits, value):
    """A number behind the bits of `first`."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    written, rest = bytearray([first | most]), value - most
    while rest >= 128:
        written.append(rest % 128 | 128)
        rest //= 128
    return bytes(written + bytes([rest]))


def text(words):
    return number(0, 7, len(words)) + words.encode()


def field(name, value, first=0):
    """A header field that is not remembered; with 0x40 for `first`, one that is."""
    return bytes([first]) + text(name) + text(value)


THE_LAST_REMEMBERED = number(0x80, 7, 62)


def head(method, path, token):
    """The fields of a good request. GET, POST and https stand in the static table."""
    return (bytes([0x82 if method == "GET" else 0x83, 0x87]) + field(":path", path) + field(":authority", "localhost")
            + field("authorization", f"Bearer {token}"))


def request(stream, path, token):
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, head("GET", path, token))
