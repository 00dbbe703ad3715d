"""The wheel of the framework in a project's `vendor/`. Uses only the standard library."""

import re
from hashlib import sha256
from pathlib import Path

from opportune.cli.environment.installation import InstallError

PIN = re.compile(r"^opportune==(\S+) \\\n +--hash=sha256:(\w+)", re.MULTILINE)


def require_framework_wheel(project: Path) -> None:
    """Check that `vendor/` has the wheel of the framework that the lock pins.

    Raises:
        InstallError: the wheel is missing or has another hash.
    """
    pin = PIN.search((project / "requirements.lock").read_text(encoding="utf-8"))
    if not pin or not [*project.glob("vendor/opportune-*.whl")]:  # a clone, or a release of the package index
        return
    wheel = project / f"vendor/opportune-{pin[1]}-py3-none-any.whl"
    if not wheel.is_file() or sha256(wheel.read_bytes()).hexdigest() != pin[2]:
        problem = "is damaged, or belongs to another project: requirements.lock pins another hash"
        raise InstallError(
            f"vendor/{wheel.name} {problem if wheel.is_file() else 'is missing'}. "
            "Restore both: git checkout HEAD -- vendor requirements.lock"
        )
