"""The file `pyproject.toml` of a project."""

import tomllib
from pathlib import Path
from typing import Any

from opportune.errors import OperatorError
from opportune.project.text_files import read_text

PYPROJECT = "pyproject.toml"


def read_pyproject(folder: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(folder / PYPROJECT))
    except ValueError as error:
        raise OperatorError(f"{PYPROJECT} is invalid: {error}. Correct it.") from error
