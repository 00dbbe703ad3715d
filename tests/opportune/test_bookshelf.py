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
BIO_AFTER = (("models.py", '{"small": 96}, default="")\n'), ("schemas.py", "    avatar: Image\n", 'title="Picture")\n'))


def give_users_a_bio(folder: Path) -> None:
    """Add a field to the user model and its schemas."""
    for name, *after in BIO_AFTER:
        text = (folder / name).read_text().replace("import Image, Line", "import Image, Line, Text")
        for line in after:
            assert text.count(line) == 1
            text = text.replace(line, line + '    bio: Text = ""\n')
        (folder / name).write_text(text)


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
