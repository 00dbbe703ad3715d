"""Runs the site like `oppman.py runserver` in production, with the benchmark's feature or another application."""

import sys

from opportune.cli.development import server, sockets
from opportune.config import get_settings

if __name__ == "__main__":
    settings = get_settings()
    with sockets.reserve(settings.host, settings.port) as listener:
        server.serve(listener, settings, app=(sys.argv[1:] or ["bench.peers.ours.feature:create"])[0])
