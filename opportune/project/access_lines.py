"""Lines of `access.txt`: the response of a URL to each role."""

from typing import NamedTuple

ROLES = ("anonymous", "user", "owner", "staff", "superuser")
"""Roles of clients. The owner has one row of each table, the user has none, and staff have no permissions."""
SIGN_IN = "sign-in"
"""Result of a redirect to the sign-in page."""


class AccessLine(NamedTuple):
    source: str
    """Feature or part of the site that defines the route."""
    method: str
    path: str
    results: tuple[str, ...]
    """Status for each role, or `SIGN_IN`."""

    def __str__(self) -> str:
        results = " ".join(f"{result:9}" for result in self.results)
        return f"{self.source:9} {self.method:6} {self.path:62} {results}".rstrip()


HEADING = AccessLine("from", "method", "address", ROLES)


def parse_line(line: str) -> AccessLine:
    source, method, path, *results = line.split()
    return AccessLine(source, method, path, tuple(results))
