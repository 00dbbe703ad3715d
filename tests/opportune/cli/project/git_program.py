"""Git in tests. Minimal systems do not have it."""

import shutil
from pathlib import Path

import pytest

from opportune.testing.services.missing_programs import skip_for_missing


def require_git() -> None:
    """Skip the current test without git."""
    if not shutil.which("git"):
        skip_for_missing("Git", "apt install git")


@pytest.fixture(scope="session", autouse=True)
def git() -> None:
    """Skip all tests of the importing module or folder without git."""
    require_git()


def git_identity(folder: Path) -> dict[str, str]:
    """Return environment variables with a git identity and a fast configuration, independent of this machine."""
    config, templates = folder / "config", folder / "templates"
    for name in ("info", "hooks"):
        (templates / name).mkdir(parents=True)
    config.write_text("[maintenance]\n auto = false\n[gc]\n auto = 0\n[core]\n compression = 0\n fsync = none\n")
    environ = {"GIT_CONFIG_GLOBAL": str(config), "GIT_TEMPLATE_DIR": str(templates)}
    for role in ("AUTHOR", "COMMITTER"):
        environ |= {f"GIT_{role}_NAME": "Ada", f"GIT_{role}_EMAIL": "ada@example.com"}
    return environ
