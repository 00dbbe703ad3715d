"""Recipes of docs/cookbook.md and docs/testing.md, run in a copy of the project."""

import re
import shutil
from collections import defaultdict
from pathlib import Path

from opportune.cli.scaffold.installed import with_feature
from opportune.project.layout import PROJECT
from tests.opportune import slug_recipe
from tests.opportune.cli.command_server import REQUIRED_FEATURE_MODULES, TEST_MODULES, command_server
from tests.opportune.cli.conftest import ProjectCopy, install_required_features

FILE = re.compile(r"^(?:[^\n]* )?`([\w./-]+)`:?\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
TESTS = "tests/books/test_books.py"


def files() -> dict[str, str]:
    """Return the text of each file. Parts in several recipes are joined."""
    texts_by_name: dict[str, list[str]] = defaultdict(list)
    for guide in ("cookbook.md", "testing.md"):
        for name, text in FILE.findall((PROJECT / "docs" / guide).read_text(encoding="utf-8")):
            texts_by_name[name].append(text)
    return {name: "\n".join(texts) for name, texts in texts_by_name.items()}


def test_recipes_work(tmp_path: Path) -> None:
    copy = ProjectCopy(tmp_path / "copy").folder
    install_required_features(copy, "llm", "import_export")
    shutil.copy(PROJECT / "pyproject.toml", copy)
    for name, text in {**files(), "app/books/__init__.py": "", "tests/books/__init__.py": ""}.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text, encoding="utf-8")
    for name in ("__init__.py", "conftest.py"):
        if (PROJECT / "tests" / name).exists():
            shutil.copy(PROJECT / "tests" / name, copy / "tests")
    installed = copy / "app/installed.py"
    installed.write_text(with_feature(installed.read_text(), "books"))
    with command_server(copy, *TEST_MODULES, *REQUIRED_FEATURE_MODULES) as run:
        code, output = run("makemigrations", "&&", "migrate")
        assert code == 0, output
        # The tests also compare migrations and models.
        output = slug_recipe.follow_recipe(copy, run, "pytest", "-q", TESTS)
    assert f"{len(re.findall(r'^(?:async )?def test_', files()[TESTS], re.MULTILINE))} passed" in output
