"""`upgrade` without a release: names of 0.2 in the code of a project."""

import subprocess
from functools import reduce
from pathlib import Path

import pytest

from opportune.cli.project.code_upgrade import upgrade_code
from tests.opportune.cli.conftest import Oppman
from tests.opportune.cli.project.upgrading.files import commit, git, snapshot

SERVICE = Path(__file__).with_name("old_service.txt").read_text(encoding="utf-8")
CHANGED_NAMES = (
    ("import opportune.llm as", "import opportune.contrib.llm as"),
    ("Access", "Permission"),
    ("DatabaseURL", "DatabaseUrl"),
    ("before_change", "before_update"),
    ("from opportune.llm import LLMError as", "from opportune.contrib.llm import LlmError as"),
    ("import grant", "import add_permission"),
    ("await grant", "await add_permission"),
    ("Crud[Book]):\n    owner =", "Crud[Book]):\n    owner_column ="),
    ("read_access", "read_permission"),
    ('"edit"', '"update"'),
    (" add(", " create("),
    (".add(values)", ".create(values)"),
    ("self.owner", "self.owner_column"),
    ("owner, search", "team_column, search"),
    ("(owner,)", "(team_column,)"),
    ("owner = team", "owner_column = team"),
    ("owner +=", "owner_column +="),
    ('"detail"', '"get"'),
    ("'details'", "'get'"),
    ("books.find", "books.list"),
    (".rows()", ".list_values()"),
    ("models.LLMError", "models.LlmError"),
)
NEW_SERVICE = reduce(lambda text, names: text.replace(*names), CHANGED_NAMES, SERVICE)
FEATURE = Path(__file__).with_name("old_feature.txt").read_text(encoding="utf-8")
NEW_FEATURE = Path(__file__).with_name("new_feature.txt").read_text(encoding="utf-8")
ADMIN = """\
class Base(AdminView): ...


class BookAdmin(Base):
    column_editable = ()
"""
INSTALLED = """\
from app.books.feature import books
from opportune.feature import Feature
from opportune.features import accounts, answers

INSTALLED: tuple[Feature, ...] = (accounts, answers, books)
"""


OLD_TEXTS = {
    "app/books/service.py": SERVICE,
    "app/books/feature.py": FEATURE,
    "app/books/admin.py": ADMIN,
    "app/installed.py": INSTALLED,
    "templates/books/book.html": '{% if may("book", "edit") %}edit{% endif %}\n',
    "tests/shop/test_pages.py": 'def test(app):\n    links = [Link("One", "/one", "cart")]\n',
    "templates/shop/home.html": "{% for link in feature.navigation[:1] %}{{ link.right }}{% endfor %}\n",
}
NEW_TEXTS = {
    "app/books/service.py": NEW_SERVICE,
    "app/books/feature.py": NEW_FEATURE,
    "app/books/admin.py": ADMIN.replace("column_editable", "editable"),
    "templates/books/book.html": '{% if may("book", "update") %}edit{% endif %}\n',
    "tests/shop/test_pages.py": 'def test(app):\n    app.state.navigation = links = [Link("One", "/one", "cart")]\n',
    "templates/shop/home.html": "{% for link in feature.site.navigation[:1] %}{{ link.permission }}{% endfor %}\n",
}


@pytest.fixture
def old_shop(shop: Path) -> Path:
    """A project with code of 0.2."""
    for name, text in OLD_TEXTS.items():
        (shop / name).parent.mkdir(parents=True, exist_ok=True)
        (shop / name).write_text(text)
    commit(shop)
    return shop


def test_code_gets_current_names(oppman: Oppman, old_shop: Path) -> None:
    code, out, _ = oppman("upgrade")
    assert code == 0
    assert {name: (old_shop / name).read_text() for name in NEW_TEXTS} == NEW_TEXTS
    assert "app/books/service.py:3: opportune.db.DatabaseURL" in out
    assert out.endswith("To see the changes: git diff\n")
    text = (old_shop / "app/installed.py").read_text()
    assert {"backup", "llm", "palette"} <= {line.strip(" ,") for line in text.splitlines()}
    assert "dashboard" not in text, "it needs the admin, which the project does not list"


def test_names_that_stay_are_listed(oppman: Oppman, old_shop: Path) -> None:
    listed = oppman("upgrade").out.partition("Change these lines yourself:\n")[2].splitlines()[:3]
    places = [line.partition(": ")[0].strip() for line in listed]
    assert places == ["app/books/service.py:4", "app/books/service.py:43", "app/books/service.py:43"]
    assert listed[1].endswith("opportune.text.Line -> opportune.fields.Line")
    assert listed[2].endswith("models.Answer -> opportune.contrib.answers.Answer")
    commit(old_shop)
    assert oppman("upgrade").out.splitlines() == ["Change these lines yourself:", *listed]


@pytest.mark.parametrize(
    "code",
    [
        "def find(feature, features):\n    return feature.checks\n",
        "checks = {\n    f.name: f.checks for f in sorted(installed_features())}\n",
    ],
)
def test_options_of_variables_are_listed(shop: Path, code: str) -> None:
    (shop / "app/flags.py").write_text(code)
    upgrade = upgrade_code(shop)
    assert shop / "app/flags.py" not in upgrade.texts
    assert upgrade.remaining == ["app/flags.py:2: checks -> monitoring.checks"]


@pytest.mark.parametrize(
    "code", ['def f(url: "DatabaseURL | None"): ...\n', 'def f(url: "Annotated[DatabaseURL, Depends(g)]"): ...\n']
)
def test_names_in_texts_keep_an_alias(shop: Path, code: str) -> None:
    (shop / "app/flags.py").write_text(f"from opportune.db import DatabaseURL\n\n{code}")
    text = upgrade_code(shop).texts[shop / "app/flags.py"]
    assert text == f"from opportune.db import DatabaseUrl as DatabaseURL\n\n{code}"


def test_dry_run_changes_no_code(oppman: Oppman, old_shop: Path) -> None:
    assert oppman("upgrade", "--dry-run").out.endswith("Nothing was changed (--dry-run).\n")
    assert git(old_shop, "status", "--porcelain") == ""


def test_current_code_stays(oppman: Oppman, shop: Path) -> None:
    before = snapshot(shop / "tests")
    assert oppman("upgrade").out.endswith("The code uses no names of earlier versions.\n")
    assert snapshot(shop / "tests") == before


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo 'class :' > app/books/api.py; git add .; git commit -qm x", "app/books/api.py:1 has a syntax error"),
        ("echo > app/books/api.py", "There are uncommitted changes (app/books/api.py)"),
    ],
)
def test_code_that_cannot_be_changed_is_refused(oppman: Oppman, old_shop: Path, command: str, message: str) -> None:
    subprocess.run(["sh", "-c", command], cwd=old_shop, check=True)
    before = snapshot(old_shop)
    assert message in oppman("upgrade").line()
    assert snapshot(old_shop) == before
