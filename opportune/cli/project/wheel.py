"""The wheel of the framework, built from a clone with hatchling. Uses only the standard library."""

import subprocess
from hashlib import sha256
from pathlib import Path

from opportune.errors import OperatorError
from opportune.project.layout import FRAMEWORK

NAME = FRAMEWORK.name


def build_wheel(python: str, root: Path, folder: Path) -> Path:
    """Build the wheel of a clone into a folder, with the hatchling of a Python.

    Raises:
        OperatorError: the wheel cannot be built.
    """
    command = [python, "-P", "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if result.returncode:
        reason = (result.stderr.strip() or "no error message").splitlines()[-1]
        raise OperatorError(f"The wheel of {root} cannot be built: {reason}")
    return next(folder.glob(wheel_name("*")))


def wheel_name(version: str) -> str:
    return f"{NAME}-{version}-py3-none-any.whl"


def hash_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
