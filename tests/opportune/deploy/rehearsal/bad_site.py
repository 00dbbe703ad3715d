"""A site of a few lines that does what some hosts do not bear, with the standard library alone: it starts in no time.

python bad_site.py FAULT
"""

import os
import sqlite3
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

DATABASE = Path("data/app.db")
FORM = '<form method="post"><input name="email"><input name="password"></form>'


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/" and sys.argv[1] == "writes":
            Path("visits.txt").write_text("one\n")
        self.answer(DATABASE.read_text() if DATABASE.exists() else FORM)

    def do_POST(self) -> None:
        said = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/accounts/register":
            DATABASE.write_text(said)
        self.answer(said)

    def answer(self, page: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        pass


if sys.argv[1] == "sqlite":
    sqlite3.connect(DATABASE)
if sys.argv[1] == "slow":
    time.sleep(30)
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
