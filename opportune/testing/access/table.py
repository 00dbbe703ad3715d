"""Files of access tables."""

import sysconfig
from pathlib import Path

from opportune.project.access_lines import AccessLine, parse_line
from opportune.project.feature_packages import feature_packages
from opportune.project.installed import installed_names
from opportune.project.layout import PROJECT, feature_folder

FRAMEWORK_TABLE = PROJECT / "tests/opportune/security/access.txt"

Table = dict[tuple[str, str], AccessLine]
"""Lines by method and path."""


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


def table_files() -> list[Path]:
    """Return the files of the installed features that exist."""
    files = dict.fromkeys([FRAMEWORK_TABLE, *map(table_file, installed_names())])
    return [file for file in files if file.exists()]


def read_tables() -> Table:
    rows = (row for file in table_files() for row in file.read_text(encoding="utf-8").splitlines()[1:])
    return {(line.method, line.path): line for line in map(parse_line, rows)}
