"""Code that `startapp` and `addmodel` generate, in a copy of the project."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from opportune.cli.project.shared_files import SKELETON
from opportune.project.layout import PROJECT
from opportune.testing.services.postgres import Postgres
from tests.opportune.cli.command_server import REQUIRED_FEATURE_MODULES, TEST_MODULES, RunCommand, command_server
from tests.opportune.cli.conftest import ProjectCopy, assert_ruff_passes, install_required_features
from tests.opportune.cli.scaffold.field_definitions import EVERY_TYPE, SIGNED_IN
from tests.opportune.test_imports import find_unlisted_imports

COMMENT_FIELDS = ("kind:enum:a,b", "text:text")
DISH_FIELDS = ("account:account:cascade:optional", "title:str:translated", "stars:int:default=1")
OPTIONAL_FEATURES = ("teams", "row_versions", "saved_views", "import_export", "reports")
COMMANDS = (
    ("startapp", "notes", "&&", "makemigrations", "notes"),
    ("startapp", "logs"),
    ("addmodel", "logs", "Entry", "log:Log", "text:text"),
    ("startapp", "blog", "Category", "name:str:50:unique", "--read", "anyone", "--no-navigation"),
    ("addmodel", "blog", "Tag", "name:str:50:unique", *SIGNED_IN),
    ("addmodel", "blog", "Post", *EVERY_TYPE, "--group", "Editors"),
    ("addmodel", "blog", "Comment", "user:owner", "post:Post:cascade", *COMMENT_FIELDS, "--read", "anyone"),
    ("startapp", "works", "Work", "team", "title:str", "--icon", "folder"),
    ("addmodel", "works", "Step", "team", "work:Work", "title:str:80:optional", "done:bool", "--read", "anyone"),
    ("addmodel", "works", "Hint", "owner", "work:Work:cascade", "text:text"),
    ("addmodel", "notes", "Bookmark", "owner", "post:blog.Post", "label:str:optional:unique", "--icon", "bookmark"),
    ("startapp", "shop", "Order", "customer:account", "seller:account:optional", "title:str", "--read", "signed-in"),
    ("addmodel", "shop", "Visit", "user:account:optional:unique", "place:str", "--read", "anyone", "--write", "anyone"),
    ("addmodel", "shop", "Task", "owner", "helper:account", "title:str", "order:Order", "spare:Order:optional"),
    ("addmodel", "shop", "Recipe", "owner", "title:str:unique", "slug:slug", "--soft-delete", "--versioned"),
    ("addmodel", "shop", "Dish", "recipe:Recipe", *DISH_FIELDS, "--versioned", *SIGNED_IN),
    ("addmodel", "works", "Plan", "team", "member:account", "due_on:date", "title:str", "--soft-delete", "--history"),
)
SELECTED_TESTS = (
    "test_posts or not postgresql and (test_bookmarks and (anonymous or other_owners or form or page) "
    "or only_the_owner or access_of or test_tasks and (form or page))"
)
"""All tests of the model with every field type. On SQLite, tests of owners and access for other models."""


class GeneratedProject(NamedTuple):
    folder: Path
    run: RunCommand


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory, postgres_server: Postgres) -> Iterator[GeneratedProject]:
    """A copy of the project after COMMANDS, whose tests use the PostgreSQL server of this test run."""
    folder = ProjectCopy(tmp_path_factory.mktemp("generated") / "copy").folder
    install_required_features(folder, *OPTIONAL_FEATURES)
    shutil.copy(PROJECT / "pyproject.toml", folder)
    for name in ("tests/__init__.py", "tests/conftest.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    shutil.copy(SKELETON / "tests/test_access.py.tmpl", folder / "tests/test_access.py")
    with command_server(folder, *TEST_MODULES, *REQUIRED_FEATURE_MODULES, "opportune.contrib.teams.feature") as run:
        for command in COMMANDS:
            code, output = run(*command)
            assert code == 0, output
            if command[:2] == ("startapp", "blog"):
                migration = folder / "migrations/versions/blog/0001_initial.py"
                migration.write_text(migration.read_text().replace('"', "'"))  # the quotes of Alembic without ruff
        yield GeneratedProject(folder, run)


def test_generated_code_passes_the_linter(generated: GeneratedProject) -> None:
    assert_ruff_passes(generated.folder, "app", "tests")


def test_migrations_are_named_after_models(generated: GeneratedProject) -> None:
    """A reference needs the migration of its target, which may be unformatted."""
    files = sorted((generated.folder / "migrations/versions/blog").glob("*.py"))
    assert [file.name for file in files] == ["0001_initial.py", "0002_tag.py", "0003_post.py", "0004_comment.py"]
    assert "'blog_category'" in files[0].read_text()
    assert "blog_category.id" in files[2].read_text()


def test_first_migration_creates_all_models(generated: GeneratedProject) -> None:
    """`startapp logs` leaves its migration to the user, who adds another model first."""
    (migration,) = (generated.folder / "migrations/versions/logs").glob("*.py")
    assert re.findall(r'create_table\(\s*"(\w+)"', migration.read_text()) == ["logs_log", "logs_entry"]


def test_personal_data_has_columns_of_readable_rows(generated: GeneratedProject) -> None:
    """Rows that only another user or a team may read are not exported."""
    entry = (generated.folder / "app/shop/feature.py").read_text().partition("personal_data=")[2]
    columns = ["Order.customer_id", "Order.seller_id", "Visit.user_id", "Task.owner_id", "Recipe.owner_id"]
    columns += ["Dish.account_id"]
    assert re.findall(r"models\.(\w+\.\w+)", entry) == columns
    assert "Plan.member_id" not in (generated.folder / "app/works/feature.py").read_text()


def test_generated_tests_pass_on_both_databases(generated: GeneratedProject) -> None:
    code, output = generated.run(
        "pytest", "-q", "-k", SELECTED_TESTS, *(f"tests/{name}" for name in ("blog", "notes", "shop", "works"))
    )
    assert code == 0, output[-5000:]
    assert "failed" not in output
    code, output = generated.run("pytest", "-q", "tests/test_access.py")
    assert code == 0, output[-5000:]


def test_generated_code_uses_public_imports(generated: GeneratedProject) -> None:
    files = [file for name in ("blog", "notes", "shop") for file in generated.folder.glob(f"*/{name}/*.py")]
    assert len(files) > 15
    assert {file.name: imports for file in files if (imports := find_unlisted_imports(file.read_text()))} == {}


def test_feature_of_the_users_can_have_other_models(tmp_path: Path) -> None:
    folder = ProjectCopy(tmp_path / "copy").folder
    install_required_features(folder)
    with command_server(folder, *REQUIRED_FEATURE_MODULES) as run:
        code, output = run("addmodel", "users", "Badge", "owner", "label:str")
    (migration,) = (folder / "migrations/versions/users").glob("*_badge.py")
    assert (code, "Warning" in output) == (0, False)
    assert re.findall(r'create_table\(\s*"(\w+)"', migration.read_text()) == ["users_badge"]
