"""`addmodel` and `startapp FEATURE MODEL`: generated code, refused arguments, failures."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from opportune.cli.scaffold import addmodel, existing_models, feature_names, startapp
from opportune.cli.scaffold.existing_models import ExistingModel
from opportune.cli.scaffold.existing_models import _models_in as models_in
from opportune.cli.scaffold.model_files import navigation_link
from opportune.cli.scaffold.new_model import NewModel
from opportune.errors import OperatorError
from opportune.project.layout import FRAMEWORK, PROJECT
from tests.opportune.cli.conftest import Oppman, assert_ruff_passes
from tests.opportune.cli.scaffold.field_definitions import EVERY_TYPE, SIGNED_IN

INSTALLED_TEAMS = (
    "from app.blog.feature import blog\nfrom opportune.feature import Feature\n"
    "from opportune.features import row_versions, teams\n\n"
    "INSTALLED: tuple[Feature, ...] = (row_versions, teams, blog)\n"
)
PROJECT_TEXTS = {
    "pyproject.toml": (PROJECT / "pyproject.toml").read_text(),
    "app/installed.py": "from app.blog.feature import blog\nfrom opportune.feature import Feature\n\n"
    "INSTALLED: tuple[Feature, ...] = (blog,)\n",
    "app/blog/feature.py": 'from opportune.feature import Feature\n\nblog = Feature("blog", "A blog.")\n',
    "app/blog/models.py": "from opportune.db import Model\n\n\nclass Tag(Model, table=True):\n"
    '    __tablename__ = "blog_tag"\n',
    "app/shop/models.py": "from opportune.db import Model\n\n\nclass Label(Model, table=True):\n"
    '    __tablename__ = "shop_label"\n',
    "app/shop/pages.py": '@router.get("/orders")\ndef list_orders(): ...\n'
    'labels = LabelPages(\n    Labels,\n    "/labels",\n)\n',
}


@cache
def framework_models(file: Path) -> list[ExistingModel]:
    """Parse each file of the framework only once for all tests."""
    return [*models_in(file)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A minimal project with two features."""
    for name, text in PROJECT_TEXTS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for module in (addmodel, startapp, feature_names):
        monkeypatch.setattr(module, "PROJECT", tmp_path)
    monkeypatch.setattr(
        existing_models,
        "_models_in",
        lambda file: (framework_models if file.is_relative_to(FRAMEWORK) else models_in)(file),
    )
    return tmp_path


@pytest.fixture
def no_migration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add models without writing a migration."""
    monkeypatch.setattr("opportune.cli.scaffold.model_files.draft_creation", lambda *_arguments: None)
    monkeypatch.setattr("opportune.cli.scaffold.model_files.write_migration", lambda *_arguments: None)


def file_texts(project: Path) -> dict[str, str]:
    return {path.relative_to(project).as_posix(): path.read_text() for path in project.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("no_migration")
def test_long_names_pass_the_linter(oppman: Oppman, project: Path) -> None:
    (project / "app/installed.py").write_text(INSTALLED_TEAMS)
    name = "x" * 23

    def long_fields(definitions: Sequence[str]) -> list[str]:
        return [re.sub(r"^(\w+):", lambda match: f"{match[1]:z<38}:", definition) for definition in definitions]

    types = [field for field in EVERY_TYPE if not re.search(":(Post|Category|Tag|many)", field)]
    accounts = long_fields(["title:str", "helper:account", "other:account:optional"])
    requests = (
        ("startapp", "y" * 24, "A" + name, *long_fields(types), "--group", "Editors"),
        ("addmodel", "y" * 24, "B" + name, "owner", *accounts, *long_fields([f"a:A{name}", f"b:many:A{name}"])),
        ("addmodel", "y" * 24, "C" + name, "team", *accounts, "--soft-delete", "--versioned", "--read", "anyone"),
        ("addmodel", "y" * 24, "D" + name, *accounts, *SIGNED_IN),
    )
    assert [oppman(*request).code for request in requests] == [0] * len(requests)
    options = ["--config", "lint.isort.known-first-party = ['app', 'opportune', 'tests']"]
    folders = [f"{parent}/{'y' * 24}" for parent in ("app", "tests")]
    assert_ruff_passes(project, *options, *folders)


INVALID_ARGUMENTS = (
    ("blog Post title", "'title' has no type. Write title:str or another type. See: python3 oppman.py addmodel --help"),
    ("blog Post title:strng", "unknown type 'strng'. Did you mean string?"),
    ("blog Post title:str:uniqe", "title: str has no option 'uniqe'. Did you mean unique?"),
    ("blog Post stars:int:translated", "stars: int has no option 'translated'."),
    ("blog Post class:str", "'class' is reserved by Python"),
    ("blog Post copy:str", "'copy' is an attribute of every model"),
    ("blog Post id:int", "'id' is reserved"),
    ("blog Post password:str", "the name of a secret, which pages and API never show. Choose another name"),
    ("blog Post is_staff:bool", "the name of a privilege, which users could give themselves. Choose another name"),
    ("blog Post title:str title:text", "Two fields are called 'title'"),
    ("blog Post owner user:owner", "A row has one owner"),
    ("blog Post user:owner:optional", "Write user:account:optional for an optional user."),
    ("blog Post born:date?", "'born:date?': Write born:date:optional."),
    ("blog Post team", "the feature teams is not installed. Add `teams` to app/installed.py."),
    ("blog Post title:str --versioned", "row_versions is not installed. Add `row_versions` to app/installed.py."),
    ("blog Post modified_at:datetime", "'modified_at:datetime': No user could set modified_at. Rename it."),
    ("blog Post author:Author", "There is no model Author. Create it first:"),
    ("blog Post labels:many:Label", "features cannot import each other"),
    ("blog Post user:accounts.User", "accounts.User: write NAME:account"),
    ("blog Post parent:Post", "Write parent:Post:optional"),
    ("blog Post status:enum", "has no choices"),
    ("blog Post status:enum:a,b:default=c", "'c' is not a valid default for enum"),
    ("blog Post x:str:10:default=abcdefghijklmnop", "x: the default has 16 characters, but the field allows 10"),
    ("blog Post stars:int:default=7:max=5", "stars: default=7 is greater than max=5."),
    ("blog Post title:str:9:10", "title: 9 and 10 set the same option. Omit one of them."),
    ("blog Post title:CharField", "unknown type 'CharField'. Write title:str."),
    ('blog Post title:str --group A"b', "is not a group name"),
    ("blog Post slug:slug stars:int", "the model has no str field"),
    ("blog Tag name:str", "blog already has a model Tag"),
    ("blog Group name:str", "accounts already has a model Group"),
    ("blog Post name:str --path /admin", "The framework uses the address /admin"),
    ("blog Post name:str --path posts", "'posts' is not an address"),
    ("blog Post name:str --read nobody", "'nobody' is not a permission"),
    ("blog Post name:str --read owner", "The rows have no owner"),
    ("blog Post owner name:str --write anyone", "--read owner"),
    ("blog Post title:str --icon bok", "Tabler has no icon named bok. Did you mean book? Choose one from tabler.io"),
    ("blog Post stars:int:min=many", "stars: 'many' is not a number. Write min=1."),
    ("blog Post deleted_at:datetime --soft-delete", "'deleted_at' belongs to SoftDelete. Rename the field"),
    ("news Post name:str", "There is no feature app/news. Create it with its first model"),
    ("../blog Post name:str", "'../blog' is not a feature name."),
    ("blog.Post name:str", "Separate feature and model by a space: blog Post."),
    ("blog Post", "A model needs at least one field, such as title:str."),
)


def test_invalid_arguments_change_nothing(oppman: Oppman, project: Path) -> None:
    for arguments, message in INVALID_ARGUMENTS:
        assert message in oppman("addmodel", *arguments.split()).line(), arguments
        assert file_texts(project) == PROJECT_TEXTS, arguments


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (KeyboardInterrupt(), (130, "", "")),
        (OSError(28, "Full", "there"), (1, "", "there cannot be written (Full). Nothing was changed.\n")),
    ],
)
@pytest.mark.usefixtures("no_migration")
def test_failure_or_interrupt_leaves_no_files(
    oppman: Oppman, project: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, outcome: Any
) -> None:
    def fail(*_arguments: object) -> None:
        assert "class Post" in (project / "app/blog/models.py").read_text()
        raise error

    monkeypatch.setattr("opportune.cli.scaffold.model_files.write_migration", fail)
    assert oppman("addmodel", "blog", "Post", "title:str") == outcome
    assert file_texts(project) == PROJECT_TEXTS
    assert not (project / "tests").exists()


@pytest.mark.parametrize(
    "code",
    [
        'router = APIRouter(\n    # prefix=None\n    prefix = "/books")\n',
        'router = BookPages(Books.crud, "/books").router\n',
        'api = APIRouter(prefix="/api")\nrouter = APIRouter()\n@router.get("/books")\ndef list_books(): ...\n',
    ],
)
def test_address_in_use_is_found(project: Path, code: str) -> None:
    (project / "app/shop/pages.py").write_text(code)
    with pytest.raises(OperatorError, match="already uses the address /books"):
        feature_names.check_path(project, "/books")


def test_unexpected_feature_file_names_the_code_to_add(oppman: Oppman, project: Path) -> None:
    (project / "app/blog/feature.py").write_text("blog = Feature('blog', models=everything())\n")
    texts_before = file_texts(project)
    message = (
        "app/blog/feature.py has an unexpected models= argument. Add [models.Post] there by hand. Nothing was changed."
    )
    assert message in oppman("addmodel", "blog", "Post", "title:str").line()
    assert file_texts(project) == texts_before
    for name in ("shop/service.py", "app/installed.py"):
        (project / "app" / name.removeprefix("app/")).write_text("(\n")
        assert f"{name}:1 has a syntax error" in oppman("addmodel", "blog", "Post", "label:shop.Label").line()


@pytest.mark.usefixtures("no_migration")
def test_personal_data_created_elsewhere_is_unchanged(oppman: Oppman, project: Path) -> None:
    (project / "app/blog/feature.py").write_bytes(
        b"blog = Feature(\r\n    'blog',  # comment\r\n    accounts=Accounts(personal_data=personal_data),\r\n)\r\n"
    )
    outcome = oppman("addmodel", "blog", "Page", "title:str", "owner")
    assert "Add by hand to the owners of personal_data: Page.owner_id." in outcome.out
    lines = (project / "app/blog/feature.py").read_bytes().split(b"\r\n")
    assert b"\n" not in b"".join(lines)
    assert lines[-3:-1] == [b"    accounts=Accounts(personal_data=personal_data),", b")"]


@pytest.mark.parametrize(
    ("read", "icon", "rest"),
    [
        ("anyone", "", '"package"'),
        ("owner", "book", '"book", signed_in=True'),
        ("permitted", "book", '"book", permission=("spare-product", "list")'),
    ],
)
def test_navigation_link_follows_read_access(read: str, icon: str, rest: str) -> None:
    model = NewModel("shop", "SpareProduct", [], read, read, "/products", icon)
    assert navigation_link(model) == f'Link("Spare products", "/products", {rest})'
