"""A small backend: says its name over HTTP and UDP, both families. Runs alone: http_server.py NAME PORT.

GET /                   NAME
GET /whoami             {"name": NAME, "client": ADDRESS, "server": ADDRESS} as this end of the connection sees them
GET /drip?seconds=N     one line "NAME COUNT" every 100 ms for N seconds: a flow that lasts
POST /                  NAME and how many octets came
any UDP datagram        NAME
Prints "listening on PORT" when ready; port 0 takes a free one (the same for both protocols is not promised then).
"""

import http.server
import json
import socket
import sys
import threading
import time
import urllib.parse

DRIP_INTERVAL_S = 0.1
_IP_PKTINFO = 8  # linux/in.h; Python has no name for it
_PACKET_INFO = {
    socket.AF_INET: (socket.IPPROTO_IP, _IP_PKTINFO),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO),
}
_RECEIVE = {socket.AF_INET: _IP_PKTINFO, socket.AF_INET6: socket.IPV6_RECVPKTINFO}


def _plain(address):
    """An IPv4 peer of a dual-stack socket is ::ffff:A.B.C.D."""
    return address[len("::ffff:") :] if address.startswith("::ffff:") and "." in address else address


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        if url.path == "/":
            self._answer(f"{self.server.backend_name}\n")
        elif url.path == "/whoami":
            client = _plain(self.client_address[0])
            local = _plain(self.connection.getsockname()[0])
            self._answer(json.dumps({"name": self.server.backend_name, "client": client, "server": local}) + "\n")
        elif url.path == "/drip":
            self._drip(float(urllib.parse.parse_qs(url.query).get("seconds", ["1"])[0]))
        else:
            self.send_error(404)

    def do_POST(self):
        left = int(self.headers["Content-Length"])
        taken = 0
        while taken < left:
            taken += len(self.rfile.read(min(left - taken, 65536)))
        self._answer(f"{self.server.backend_name} {taken}\n")

    def _answer(self, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self, seconds):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        end = time.monotonic() + seconds
        count = 0
        while time.monotonic() < end:
            self.wfile.write(f"{self.server.backend_name} {count}\n".encode())
            count += 1
            time.sleep(DRIP_INTERVAL_S)


class _Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name, port):
        self.backend_name = name
        super().__init__(("::", port), _Handler)

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def _answer_datagrams(name, port):
    def serve(family, address):
        with socket.socket(family, socket.SOCK_DGRAM) as udp:
            if family == socket.AF_INET6:
                udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            level, option = _PACKET_INFO[family]
            udp.setsockopt(level, _RECEIVE[family], 1)
            udp.bind((address, port))
            while True:
                _, told, _, client = udp.recvmsg(65535, 256)
                # From the address that was asked, which need not be the first one of this machine.
                where = [(level, option, data) for at, kind, data in told if (at, kind) == (level, option)]
                udp.sendmsg([f"{name}\n".encode()], where, 0, client)

    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        threading.Thread(target=serve, args=(family, address), daemon=True).start()


def main():
    name, port = sys.argv[1], int(sys.argv[2])
    server = _Server(name, port)
    _answer_datagrams(name, server.server_address[1])
    print(f"listening on {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
