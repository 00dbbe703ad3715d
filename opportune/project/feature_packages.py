"""Packages `opportune_NAME`. Each is one feature that a project installs, and not a folder of the project.

Uses only light modules of the standard library, because the overview of commands needs it.
"""

from collections.abc import Iterator
from functools import cache

from opportune.project.current import folder_of, project_folder

PREFIX = "opportune_"
"""Prefix of the Python package of a feature."""


@cache
def feature_packages() -> dict[str, str]:
    """Return the folders of the feature packages that the project's `installed.py` imports, by feature."""
    folders = {name: folder_of(PREFIX + name) for name in _imported_names()}
    return {name: folder for name, folder in folders.items() if folder}


def _imported_names() -> Iterator[str]:
    # The text is read, because importing the file imports all features.
    try:
        with open(f"{project_folder()}/installed.py", encoding="utf-8") as file:
            lines = file.readlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        if line.startswith(f"from {PREFIX}"):
            yield line.split()[1].removeprefix(PREFIX).partition(".")[0]
