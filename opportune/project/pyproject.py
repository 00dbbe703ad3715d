"""The file `pyproject.toml` of a project."""

import tomllib
from pathlib import Path
from typing import Any

from opportune.errors import OperatorError

PYPROJECT = "pyproject.toml"


def read_pyproject(folder: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((folder / PYPROJECT).read_text(encoding="utf-8"))
    except OSError as error:
        raise OperatorError(f"{PYPROJECT} cannot be read: {error.strerror}. Restore it.") from error
    except ValueError as error:
        raise OperatorError(f"{PYPROJECT} is invalid: {error}. Correct it.") from error
