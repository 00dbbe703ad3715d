"""Git, which minimal systems lack."""

import shutil
from pathlib import Path

import pytest

from opportune.testing.services.missing_programs import skip_for_missing


def need_git() -> None:
    """For a single test, which begins with it."""
    if not shutil.which("git"):
        skip_for_missing("Git", "apt install git")


@pytest.fixture(scope="session", autouse=True)
def git() -> None:
    """For all tests of a module, or of a folder, that imports it."""
    need_git()


def somebody(folder: Path) -> dict[str, str]:
    """The environment in which git knows who commits, and nothing else of this machine.

    It does not tidy up, brings no samples of hooks, and neither compresses what it keeps nor waits for the disk.
    """
    config, templates = folder / "config", folder / "templates"
    for name in ("info", "hooks"):
        (templates / name).mkdir(parents=True)
    config.write_text("[maintenance]\n auto = false\n[gc]\n auto = 0\n[core]\n compression = 0\n fsync = none\n")
    environ = {"GIT_CONFIG_GLOBAL": str(config), "GIT_TEMPLATE_DIR": str(templates)}
    for role in ("AUTHOR", "COMMITTER"):
        environ |= {f"GIT_{role}_NAME": "Ada", f"GIT_{role}_EMAIL": "ada@example.com"}
    return environ
