"""docs/security.md says what is so: its tests and files exist, its commands are those of the project."""

import re
from importlib.util import find_spec
from itertools import chain

from opportune.cli.registry import COMMANDS
from opportune.config.project import PROJECT
from opportune.config.settings import Settings

GUIDE = (PROJECT / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_test_that_it_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", GUIDE))
    found = {
        name
        for path in (PROJECT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 50
    assert named - found == set()


def test_every_row_has_a_test() -> None:
    rows = re.findall(r"^\| (?!Threat|---)(.+?) \| .+? \| (.+?) \|$", GUIDE, re.MULTILINE)
    assert len(rows) > 30
    assert [threat for threat, tests in rows if "`test_" not in tests] == []


def test_every_file_command_and_setting_that_it_names_exists() -> None:
    files = re.findall(r"`(opportune/[\w/.]+)`", GUIDE)
    assert [file for file in files if not (PROJECT / file).exists()] == []
    commands = re.findall(r"oppman\.py (\w+)", GUIDE)
    assert set(commands) <= set(chain.from_iterable(COMMANDS.values()))
    settings = re.findall(r"`([A-Z]+_[A-Z_]+)", GUIDE)
    assert {name.lower() for name in settings} <= Settings.model_fields.keys()
    for module in re.findall(r"python -m (tests[\w.]+)", GUIDE):
        assert find_spec(module)
