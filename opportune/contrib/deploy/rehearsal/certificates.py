"""Certificates of servers in rehearsals and tests."""

from pathlib import Path

from opportune.cli.development.certificate import create_certificate


def make_certificate(folder: Path, *names: str, days: int = 1) -> Path:
    """Write `server.pem`, a key and its certificate for this machine and other host names; return its path."""
    path = folder / "server.pem"
    path.write_bytes(create_certificate(("127.0.0.1", "localhost", *names), days))
    return path
