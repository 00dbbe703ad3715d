"""`addapp`: sources that are refused, requirement and pin. test_installed_project.py adds and removes a package."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from opportune import __version__
from opportune.cli.project.shared_files import FIND_LINKS, with_wheel
from opportune.cli.scaffold import addapp, packages
from opportune.errors import OperatorError
from tests.opportune.cli.scaffold.wheels import FEATURE, write_wheel


def test_broken_folder_and_wheel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"has no pyproject\.toml, so it is not a package\."):
        packages.find_wheel(str(tmp_path), tmp_path)
    for text, message in (("[project]", "has no entry point in the group"), ("[build-system]", "cannot be built: ")):
        (tmp_path / "pyproject.toml").write_text(f"{text}\n")
        with pytest.raises(OperatorError, match=message):
            packages.find_wheel(str(tmp_path), tmp_path)
    wheel = write_wheel(tmp_path)
    wheel.write_bytes(wheel.read_bytes()[:-30])
    with pytest.raises(OperatorError, match=r"^opportune_journals-1.0-py3-none-any.whl cannot be installed \(.*\)\.$"):
        packages.read_wheel(wheel, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([""], "has no entry point in the group opportune.features, so it cannot be added."),
        (
            ["[opportune.features]\njournals = journals:feature\n"],
            'the entry point journals = "journals:feature" must be',
        ),
        ([FEATURE, "Requires-Dist: opportune>=77"], f"needs opportune>=77, but this project has {__version__}."),
        ([FEATURE, "Requires-Python: >=4"], "cannot be installed ("),
    ],
    ids=["no entry point", "entry point elsewhere", "other framework", "other Python"],
)
def test_unsuitable_wheel_is_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    """The arguments are an entry point and lines of metadata."""
    with pytest.raises(OperatorError, match=re.escape(message)):
        packages.read_wheel(write_wheel(tmp_path, *arguments), tmp_path)


@pytest.mark.parametrize(("name", "problem"), [("users", "app/users already exists."), ("teams", "is reserved by")])
def test_taken_name_is_refused(name: str, problem: str) -> None:
    package = packages.FeaturePackage("opportune-other", "1.0", name, [])
    with pytest.raises(OperatorError, match=f"has the feature {name}, which cannot be added: .*{problem}"):
        addapp.require_free_name(package)


PYPROJECT = 'dependencies = [\n    "opportune",  # the wheel\n    "psycopg[binary]>=3",\n]\n\n[other]\nlist = [\n]\n'
LOCK = f"""\
{FIND_LINKS}httpx2==2.16 \\
    --hash=sha256:00
opportune==0.2.0 \\
    --hash=sha256:00 \\
    --hash=sha256:01
uvloop==0.22 ; sys_platform != 'win32' \\
    --hash=sha256:00
"""


def test_requirement_and_pin_are_added_and_removed() -> None:
    text = packages.with_dependency(PYPROJECT, "Opportune_Journals==1.0")
    assert '>=3",\n    "Opportune_Journals==1.0",\n]\n\n[other]' in text
    text = packages.with_dependency(text, "opportune-journals==2.0")
    assert text.lower().count("journals") == 1
    assert packages.without_dependency(text, "opportune-journals") == PYPROJECT
    lock = with_wheel(LOCK, "opportune-journals", "1.0", "02")
    assert "sha256:01\nopportune-journals==1.0 \\\n    --hash=sha256:02\nuvloop" in lock
    assert packages.without_pin(lock, "opportune-journals") == LOCK


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("opportune>=0.2", True),
        ("httpx2<1", False),
        ("httpx2[http2]", False),
        ("uvloop", False),  # not on all platforms
        ("missing; extra == 'more'", True),
    ],
)
def test_lock_satisfies_requirement(requirement: str, expected: bool) -> None:
    assert packages.satisfies(LOCK, [Requirement(requirement)]) is expected
