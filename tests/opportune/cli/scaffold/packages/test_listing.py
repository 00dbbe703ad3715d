"""Requirement and pin of a feature package."""

import pytest
from packaging.requirements import Requirement

from opportune.cli.project.shared_files import FIND_LINKS, with_wheel
from opportune.cli.scaffold.packages import satisfies, with_dependency, without_dependency, without_pin
from opportune.errors import OperatorError

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


def test_requirement_is_the_last_dependency() -> None:
    text = with_dependency(PYPROJECT, "Opportune_Journals==1.0")
    assert '>=3",\n    "Opportune_Journals==1.0",\n]\n\n[other]' in text
    text = with_dependency(text, "opportune-journals==2.0")
    assert text.lower().count("journals") == 1
    assert without_dependency(text, "opportune-journals") == PYPROJECT


def test_project_without_dependencies_is_refused() -> None:
    with pytest.raises(OperatorError, match="has no list `dependencies` with one package per line"):
        with_dependency("dependencies = []\n", "opportune-journals==1.0")


def test_pin_is_added_in_order_and_removed() -> None:
    lock = with_wheel(LOCK, "opportune-journals", "1.0", "02")
    assert "sha256:01\nopportune-journals==1.0 \\\n    --hash=sha256:02\nuvloop" in lock
    assert without_pin(lock, "opportune-journals") == LOCK


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("opportune>=0.2", True),
        ("HTTPX2>=1", True),
        ("httpx2<1", False),
        ("httpx2[http2]", False),
        ("uvloop", False),  # not on all platforms
        ("missing", False),
        ("missing; extra == 'more'", True),
    ],
)
def test_lock_satisfies_requirement(requirement: str, expected: bool) -> None:
    assert satisfies(LOCK, [Requirement(requirement)]) is expected
