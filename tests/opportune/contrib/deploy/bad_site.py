"""Minimal site with a fault: `python bad_site.py FAULT`.

It only uses the standard library, so that it starts quickly.
"""

import os
import sqlite3
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/" and sys.argv[1] == "writes":
            Path("visits.txt").write_text("one\n")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


if sys.argv[1] == "sqlite":
    sqlite3.connect("data/app.db")
if sys.argv[1] == "slow":
    time.sleep(30)
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
