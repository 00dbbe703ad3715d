"""Git, which minimal systems lack."""

import shutil

import pytest

from opportune.testing.services.missing_programs import skip_for_missing


@pytest.fixture(scope="session", autouse=True)
def git() -> None:
    """For all tests of a module, or of a folder, that imports it."""
    if not shutil.which("git"):
        skip_for_missing("Git", "apt install git")
