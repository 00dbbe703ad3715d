"""Minimal site with a fault, or one that waits for its database: `python bad_site.py FAULT`.

It only uses the standard library, so that it starts quickly.
"""

import os
import socket
import sqlite3
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

DATABASE = Path("data/app.db")
FORM = '<form method="post"><input name="email"><input name="password"></form>'


SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)
"""First message of a PostgreSQL client."""


def is_awake() -> bool:
    """Return False if the database closes the connection because it sleeps."""
    address = urlsplit(os.environ["DATABASE_URL"])
    try:
        with socket.create_connection((address.hostname, address.port), 5) as connection:
            connection.sendall(SSL_REQUEST)
            return connection.recv(1) != b""
    except OSError:
        return False


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/" and sys.argv[1] == "writes":
            Path("visits.txt").write_text("one\n")
        self.respond(DATABASE.read_text() if DATABASE.exists() else FORM)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/accounts/register":
            DATABASE.write_text(body)
        self.respond(body)

    def respond(self, page: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        pass


if sys.argv[1] == "sqlite":
    sqlite3.connect(DATABASE)
while sys.argv[1] == "waits" and not is_awake():
    time.sleep(0.05)
if sys.argv[1] == "slow":
    time.sleep(30)
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
