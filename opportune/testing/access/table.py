"""Lines of an access table, and the files that store them."""

import sysconfig
from pathlib import Path
from typing import NamedTuple

from opportune.project.feature_packages import feature_packages
from opportune.project.installed import installed_names
from opportune.project.layout import PROJECT, feature_folder
from opportune.testing.access.sites import ROLES

FRAMEWORK_TABLE = PROJECT / "tests/opportune/security/access.txt"

Table = dict[tuple[str, str], "TableLine"]
"""Lines by method and path."""


class TableLine(NamedTuple):
    source: str
    """Feature or part of the site that defines the route."""
    method: str
    path: str
    results: tuple[str, ...]
    """Status for each role, or `sign-in`."""

    def __str__(self) -> str:
        results = " ".join(f"{result:9}" for result in self.results)
        return f"{self.source:9} {self.method:6} {self.path:62} {results}".rstrip()


HEADING = TableLine("from", "method", "address", ROLES)


def table_file(source: str) -> Path:
    """Return the file of a feature's table. Features of the framework share one."""
    if not is_project_feature(source):
        return FRAMEWORK_TABLE
    package = feature_packages().get(source)
    folder = Path(package) / "tests" if package else PROJECT / "tests" / source
    return folder / FRAMEWORK_TABLE.name


def is_project_feature(source: str) -> bool:
    """Return whether the code of a feature is in the project, or in a folder outside of the environment."""
    folder = feature_folder(source)
    return folder.is_dir() and not folder.is_relative_to(sysconfig.get_path("purelib"))


def read_tables() -> Table:
    """Return the committed tables."""
    table: Table = {}
    for file in dict.fromkeys([FRAMEWORK_TABLE, *map(table_file, installed_names())]):
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        for line in lines[1:]:
            source, method, path, *results = line.split()
            table[method, path] = TableLine(source, method, path, tuple(results))
    return table
