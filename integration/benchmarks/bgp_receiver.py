"""The smallest BGP peer that can tell when which prefix came: bgp_receiver.py ADDRESS AS.

Accepts one session on port 179 (RFC 4271, 4-octet AS numbers, IPv4 unicast), answers nothing but OPEN and KEEPALIVE, and
prints one JSON line an event: {"event": "established" | "prefix", "time": seconds, "prefix": "A.B.C.D/L"}; time is the
machine's monotonic clock when the octets were read.
"""

import ipaddress
import json
import socket
import struct
import sys
import time

_MARKER = b"\xff" * 16
_OPEN, _UPDATE, _KEEPALIVE = 1, 2, 4
_AS_TRANS = 23456
_MP_REACH = 14


def _message(kind, body=b""):
    return _MARKER + struct.pack("!HB", 19 + len(body), kind) + body


def _open_message(address, as_number):
    capabilities = struct.pack("!BBHBB", 1, 4, 1, 0, 1) + struct.pack("!BBI", 65, 4, as_number)
    optional = struct.pack("!BB", 2, len(capabilities)) + capabilities
    two_octets = as_number if as_number < 65536 else _AS_TRANS
    hold_time_s = 90
    fixed = struct.pack("!BHH4sB", 4, two_octets, hold_time_s, socket.inet_aton(address), len(optional))
    return _message(_OPEN, fixed + optional)


def _prefixes(octets):
    at = 0
    while at < len(octets):
        length = octets[at]
        size = (length + 7) // 8
        yield f"{ipaddress.IPv4Address(octets[at + 1 : at + 1 + size].ljust(4, bytes(1)))}/{length}"
        at += 1 + size


def _multiprotocol(attributes):
    """IPv4 NLRI inside MP_REACH_NLRI (RFC 4760)."""
    at = 0
    while at < len(attributes):
        extended = attributes[at] & 0x10
        kind = attributes[at + 1]
        (size,) = struct.unpack_from("!H" if extended else "!B", attributes, at + 2)
        start = at + (4 if extended else 3)
        value = attributes[start : start + size]
        if kind == _MP_REACH and value[:3] == b"\x00\x01\x01":
            yield from _prefixes(value[5 + value[3] :])
        at = start + size


def announced(body):
    """The IPv4 prefixes that an UPDATE's body announces."""
    (withdrawn,) = struct.unpack_from("!H", body)
    (attributes,) = struct.unpack_from("!H", body, 2 + withdrawn)
    start = 4 + withdrawn
    yield from _multiprotocol(body[start : start + attributes])
    yield from _prefixes(body[start + attributes :])


def _tell(event, when, **more):
    print(json.dumps({"event": event, "time": when, **more}), flush=True)


def main(address, as_number):
    with socket.create_server((address, 179)) as server:
        print("listening", flush=True)
        session, _ = server.accept()
    session.sendall(_open_message(address, as_number))
    pending = b""
    established = False
    while True:
        octets = session.recv(1 << 20)
        when = time.monotonic()
        if not octets:
            return
        pending += octets
        while len(pending) >= 19:
            size, kind = struct.unpack_from("!HB", pending, 16)
            if len(pending) < size:
                break
            body, pending = pending[19:size], pending[size:]
            if kind in (_OPEN, _KEEPALIVE):
                session.sendall(_message(_KEEPALIVE))
            if kind == _KEEPALIVE and not established:
                established = True
                _tell("established", when)
            elif kind == _UPDATE:
                for prefix in announced(body):
                    _tell("prefix", when, prefix=prefix)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
