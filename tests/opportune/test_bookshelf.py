"""A bookshop as an example product, made from the starter and tested on both databases.

Its files are in `bookshelf/`. `migrate` and `check` are run for the shop of `test_tutorial.py`.
"""

import shutil
from pathlib import Path

import pytest

from opportune.cli.scaffold.feature_removal import FeatureRemoval
from opportune.cli.scaffold.installed import with_feature
from opportune.project.layout import PROJECT, USERS
from tests.opportune.cli.command_server import FEATURE_MODULES, TEST_MODULES, command_server
from tests.opportune.cli.conftest import ProjectCopy

BOOKSHELF = Path(__file__).parent / "bookshelf"
EXAMPLES = [path.parent.name for path in (PROJECT / "app").glob("*/feature.py") if path.parent.name != USERS]
LLM_FILES = ("jobs.py", "hooks.py", "summary.txt")
"""Files that use a language model."""
BIO_AFTER = (("models.py", '{"small": 96}, default="")\n'), ("schemas.py", "    avatar: Image\n", 'title="Picture")\n'))
MAX_PYTHON_LINES, MAX_TEMPLATE_LINES, MAX_MODEL_LINES = 253, 60, 60


def lines(pattern: str) -> dict[str, int]:
    return {path.name: len(path.read_text().splitlines()) for path in BOOKSHELF.glob(pattern)}


def ask_lines() -> int:
    """Return the lines of the route that asks the language model."""
    pages = (BOOKSHELF / "app/books/pages.py").read_text()
    return len(pages[pages.index('@router.post("/{slug}/ask"') :].splitlines())


def give_users_a_bio(folder: Path) -> None:
    """Add a field to the user model and its schemas."""
    for name, *after in BIO_AFTER:
        text = (folder / name).read_text().replace("import Image, Line", "import Image, Line, Text")
        for line in after:
            assert text.count(line) == 1
            text = text.replace(line, line + '    bio: Text = ""\n')
        (folder / name).write_text(text)


def test_bookshop_is_short() -> None:
    python, templates = lines("app/books/*.py"), lines("templates/books/**/*.*")
    llm_lines = sum(count for name, count in (python | templates).items() if name in LLM_FILES) + ask_lines()
    assert llm_lines <= MAX_MODEL_LINES
    other_lines = sum(count for name, count in python.items() if name not in LLM_FILES) - ask_lines()
    assert other_lines <= MAX_PYTHON_LINES
    assert sum(templates.values()) <= MAX_TEMPLATE_LINES


@pytest.mark.usefixtures("postgres_server")  # for the tests that it runs
def test_bookshop_works_on_both_databases(tmp_path: Path) -> None:
    copy = ProjectCopy(tmp_path / "copy").folder
    shutil.copy(PROJECT / "pyproject.toml", copy)
    shutil.copytree(PROJECT / "tests", copy / "tests", ignore=shutil.ignore_patterns("opportune", *EXAMPLES))
    give_users_a_bio(copy / "app/users")
    for name in EXAMPLES:
        FeatureRemoval(name, copy).apply()
    with command_server(copy, *TEST_MODULES, *FEATURE_MODULES, f"app.{USERS}.feature") as run:
        for part in ("app", "templates", "tests"):
            shutil.copytree(BOOKSHELF / part, copy / part, dirs_exist_ok=True)
        installed = copy / "app/installed.py"
        installed.write_text(with_feature(installed.read_text(), "books"))
        code, output = run("makemigrations", "&&", "pytest", "-q", "tests/books")
    assert code == 0, output[-5000:]
    assert " passed" in output
