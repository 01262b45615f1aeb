#!/usr/bin/env python3
"""Serves tickets as pages over HTTP, as a helpdesk's export does: serve_pages.py DIRECTORY [--latency 20] [--port 8765]

    GET /export?cursor=N

A page holds a thousand tickets of DIRECTORY/tickets.ndjson as they are written there, the people whom they name, and
the cursor of the next page, which nobody knows before. Whole answers are kept in memory and sent over connections that
stay open; the latency in milliseconds is waited for before an answer's first byte. Ends when it is interrupted.
"""

import argparse
import json
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PAGE = 1000


def pages(directory, most):
    people = {}
    for line in (directory / "people.ndjson").read_bytes().splitlines():
        people[json.loads(line)["id"]] = line
    lines = (directory / "tickets.ndjson").open("rb").read().splitlines()[: most * PAGE]
    chunks = [lines[start : start + PAGE] for start in range(0, len(lines), PAGE)]
    for number, chunk in enumerate(chunks, 1):
        named = {}
        for ticket in map(json.loads, chunk):
            for person in (ticket["requester_id"], ticket["assignee_id"]):
                if person in people:
                    named[person] = people[person]
        tail = {"after_cursor": str(number), "end_of_stream": number == len(chunks), "count": len(chunk)}
        page = b'{"tickets":[%s],"users":[%s],%s' % (
            b",".join(chunk), b",".join(named.values()), json.dumps(tail)[1:].encode(),
        )
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0

    def do_GET(self):
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        number = int(query.get("cursor", ["0"])[0])
        if address.path != "/export" or number >= len(self.server.pages):
            self.send_error(404)
            return
        time.sleep(self.server.latency / 1000)
        self.connection.sendall(self.server.pages[number])

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def get_request(self):
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("directory", type=Path)
    arguments.add_argument("--port", type=int, default=8765)
    arguments.add_argument("--latency", type=float, default=0, help="milliseconds before each answer")
    arguments.add_argument("--pages", type=int, default=100, help="at most")
    given = arguments.parse_args()
    server = Server(("127.0.0.1", given.port), Handler)
    server.latency = given.latency
    server.pages = list(pages(given.directory, given.pages))
    size = sum(map(len, server.pages)) / 1e6
    print(f"{len(server.pages)} pages, {size:.0f} MB, at http://127.0.0.1:{given.port}/export", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
