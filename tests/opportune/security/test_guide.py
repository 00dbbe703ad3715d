"""Files, tests and settings named in docs/security.md exist."""

import re
from importlib.util import find_spec

from opportune.config.base_settings import settings_classes
from opportune.project.layout import PROJECT
from tests.opportune.guides import read_guide

GUIDE = read_guide("security.md")


def test_every_threat_names_tests_that_exist() -> None:
    rows = re.findall(r"^\| (?!Threat|---)(.+?) \| .+? \| (.+?) \|$", GUIDE, re.MULTILINE)
    assert len(rows) > 90
    tests = {(threat, test) for threat, column in rows for test in column.replace("`", "").split(", ")}
    folder = PROJECT / "tests/opportune"
    files = {(threat, test): (folder / test, PROJECT / test) for threat, test in tests}
    assert {key for key, paths in files.items() if not any(path.is_file() for path in paths)} == set()


def test_named_files_and_settings_exist() -> None:
    files = re.findall(r"`(opportune/[\w/.]+)`", GUIDE)
    assert [file for file in files if not (PROJECT / file).exists()] == []
    settings = re.findall(r"`([A-Z]+_[A-Z_]+)", GUIDE)
    assert {name.lower() for name in settings} <= {name for model in settings_classes() for name in model.model_fields}
    for module in re.findall(r"python -m (tests[\w.]+)", GUIDE):
        assert find_spec(module)
