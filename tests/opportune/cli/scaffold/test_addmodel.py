"""`addmodel` and `startapp FEATURE MODEL`: generated code, refused arguments, failures."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

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
        ("addmodel", "y" * 24, "B" + name, "owner", *accounts, *long_fields([f"a:A{name}", f"b:A{name}[]"])),
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
    ("blog Post title:str:0", "str has no option '0'"),
    ("blog Post title:str:translated:unique", "title: a translated field cannot be unique."),
    ("blog Post stars:int:translated", "stars: int has no option 'translated'."),
    ("blog Post class:str", "'class' is reserved by Python"),
    ("blog Post date:date", "'date' is reserved by Python"),
    ("blog Post metadata:json", "'metadata' is reserved by Python"),
    ("blog Post model_name:str", "'model_name' is reserved by Python"),
    ("blog Post copy:str", "'copy' is an attribute of every model"),
    ("blog Post id:int", "'id' is reserved"),
    ("blog Post Title:str", "'Title' is not a field name"),
    ("blog Post password:str", "the name of a secret, which pages and API never show. Choose another name"),
    ("blog Post is_staff:bool", "the name of a privilege, which users could give themselves. Choose another name"),
    ("blog Post title:str title:text", "Two fields are called 'title'"),
    ("blog Post tag:Tag tag_id:int", "Two fields are called 'tag_id'"),
    ("blog Post owner user:owner", "A row has one owner"),
    ("blog Post user:owner:optional", "Write user:account:optional for an optional user."),
    ("blog Post user:User", "write NAME:account for any user"),
    ("blog Post born:date?", "'born:date?': Write born:date:optional."),
    ("blog Post blog:ForeignKey:Blog", "The type of a reference is the name of its model"),
    ("blog Post user:references", "The type of a reference is the name of its model"),
    ("blog Post pages:int:null", "int has no option 'null'. Did you mean optional?"),
    ("blog Post user:acount", "unknown type 'acount'. Did you mean account?"),
    ("blog Post user:account:index", "user: reference has no option 'index'."),
    ("blog Post user:account --write anyone --read anyone", "visitors who are not signed in cannot choose an account"),
    ("blog Post user:account user:str", "Two fields are called 'user'"),
    ("blog Post team", "the feature teams is not installed. Add `teams` to app/installed.py."),
    ("blog Post title:str --versioned", "row_versions is not installed. Add `row_versions` to app/installed.py."),
    ("blog Post crew:team", "the field for the team must be called team."),
    ("blog Post modified_at:datetime", "'modified_at:datetime': No user could set modified_at. Rename it."),
    ("blog Post created_at:date", "No user could set created_at. Rename it, or write created_at without a type."),
    ("blog Post born:created_at", "a field of this type must be called created_at. Or write born:datetime."),
    ("blog Post created_at:datetime:index", "created_at takes no options. Write created_at."),
    ("blog Post updated_at:datetime:optional", "updated_at takes no options. Write updated_at."),
    ("blog Post author:Author", "There is no model Author. Create it first:"),
    ("blog Post tag:Tga", "There is no model Tga. Did you mean Tag?"),
    ("blog Post labels:many:Label", "features cannot import each other"),
    ("blog Post user:accounts.User", "accounts.User: write NAME:account"),
    ("blog Post parent:Post", "Write parent:Post:optional"),
    ("blog Post status:enum", "has no choices"),
    ("blog Post status:enum:a,a", "two choices are the same"),
    ("blog Post status:enum:a,B", "'B' is not a choice"),
    ("blog Post status:enum:a,b:default=c", "'c' is not a valid default for enum"),
    ("blog Post x:str:10:default=abcdefghijklmnop", "x: the default has 16 characters, but the field allows 10"),
    ("blog Post price:decimal:default=NaN", "'NaN' is not a valid default for decimal"),
    ("blog Post opens:time:default=10:30Z", "'10:30Z' is not a valid default for time"),
    ("blog Post stars:int:default=many", "'many' is not a valid default for int"),
    ("blog Post stars:int:default=3000000000", "stars: default=3000000000 is not between"),
    ("blog Post stars:int:default=+99999999999999999999999", "stars: default=+99999999999999999999999 is not between"),
    ("blog Post price:decimal:default=1e2:max=5", "price: default=1e2 is greater than max=5."),
    ("blog Post stars:int:max=3000000000", "stars: max=3000000000 is not between"),
    ("blog Post stars:int:default=7:max=5", "stars: default=7 is greater than max=5."),
    ("blog Post weight:float:default=1:min=1.5", "weight: min=1.5 is greater than default=1."),
    ("blog Post opens:time:default=25:00", "'25:00' is not a valid default for time"),
    ("blog Post site:url:default=nowhere", "'nowhere' is not a valid default for url"),
    ("blog Post mail:email:default=nowhere", "'nowhere' is not a valid default for email"),
    ("blog Post home:country:default=Nowhere", "'Nowhere' is not a valid default for country"),
    ("blog Post title:CharField", "unknown type 'CharField'. Write title:str."),
    ("blog Post born:models.DateTimeField", "unknown type 'models.DateTimeField'. Write born:datetime."),
    ("blog Post tags:ManyToManyField", "as in author:Author or tags:many:Tag."),
    ('blog Post title:str --group A"b', "is not a group name"),
    (f"blog Post title:str --group {'g' * 151}", "is not a group name. Use at most 150 letters"),
    ("blog Post is_new:bool:optional", "is_new: bool has no option 'optional'."),
    ("blog Post title:str slug:slug:unique", "slug: slug has no option 'unique'."),
    ("blog Post slug:slug stars:int", "the model has no str field"),
    ("blog Post slug:slug:name title:str", "'name' is not a str field of this model"),
    ("blog Post price:decimal:40,2", "decimal has no option '40,2'"),
    ("blog Tag name:str", "blog already has a model Tag"),
    ("blog Label name:str", "shop already has a model Label"),
    ("blog User name:str", "is reserved by Python or by the generated code"),
    ("blog Group name:str", "accounts already has a model Group"),
    ("blog post name:str", "'post' is not a model name"),
    ("blog Post name:str --path /labels", "app/shop/pages.py already uses the address /labels"),
    ("blog Post name:str --path /orders", "app/shop/pages.py already uses the address /orders"),
    ("blog Post name:str --path /admin", "The framework uses the address /admin"),
    ("blog Post name:str --path posts", "'posts' is not an address"),
    ("blog Post name:str --read nobody", "'nobody' is not a permission"),
    ("blog Post name:str --read owner", "The rows have no owner"),
    ("blog Post owner name:str --write anyone", "--read owner"),
    ("blog Post title:str --icon bok", "Tabler has no icon named bok. Did you mean book? Choose one from tabler.io"),
    ("blog Post title:str --icon Book!", "'Book!' is not an icon name. Choose one from tabler.io/icons"),
    ("blog Post stars:int:min=many", "stars: 'many' is not a number. Write min=1."),
    ("blog Post stars:int:min=10:max=5", "stars: min=10 is greater than max=5."),
    ("blog Post title:str:min=1", "title: str has no option 'min=1'. See: python3 oppman.py addmodel --help"),
    ("blog Post deleted_at:datetime --soft-delete", "'deleted_at' belongs to SoftDelete. Rename the field"),
    ("blog Post deleted_by:account --soft-delete", "'deleted_by_id' belongs to SoftDelete."),
    ("blog Post keep_version_days:int --versioned", "or omit --versioned."),
    ("blog Versioned name:str", "is reserved by Python or by the generated code"),
    ("news Post name:str", "There is no feature app/news. Create it with its first model"),
    ("../blog Post name:str", "'../blog' is not a feature name."),
    ("blog Post", "A model needs at least one field, such as title:str."),
)


def test_invalid_arguments_change_nothing(oppman: Oppman, project: Path) -> None:
    for arguments, message in INVALID_ARGUMENTS:
        assert message in oppman("addmodel", *arguments.split()).line(), arguments
        assert file_texts(project) == PROJECT_TEXTS, arguments


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (OSError(28, "No space left on device", "there"), 1)]
)
@pytest.mark.usefixtures("no_migration")
def test_failure_or_interrupt_leaves_no_files(
    oppman: Oppman, project: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fail(*_arguments: object) -> None:
        assert "class Post" in (project / "app/blog/models.py").read_text()
        raise error

    monkeypatch.setattr("opportune.cli.scaffold.model_files.write_migration", fail)
    outcome = oppman("addmodel", "blog", "Post", "title:str")
    assert (outcome.code, "Nothing was changed" in outcome.err) == (code, code == 1)
    assert file_texts(project) == PROJECT_TEXTS
    assert not (project / "tests").exists()


@pytest.mark.usefixtures("no_migration")
def test_unwritable_file_changes_nothing(oppman: Oppman, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *arguments: object, **options: object) -> None:
        if path.name == "models.py":
            raise PermissionError(13, "Permission denied", str(path))
        write(path, *arguments, **options)  # type: ignore[arg-type]

    write = Path.write_text
    monkeypatch.setattr(Path, "write_text", refuse)
    monkeypatch.setattr(Path, "write_bytes", refuse)
    message = f"{project / 'app/blog/models.py'} cannot be written (Permission denied). Nothing was changed.\n"
    assert oppman("addmodel", "blog", "Post", "title:str") == (1, "", message)
    assert file_texts(project) == PROJECT_TEXTS


@pytest.mark.parametrize(
    "code",
    [
        'router = APIRouter(\n    # prefix=None\n    prefix = "/books")\n',
        '# prefix= is missing\n@router.get("/books")\ndef list_books(): ...\n',
        'router = BookPages(Books.crud, "/books").router\n',
        'api = APIRouter(prefix="/api")\nrouter = APIRouter()\n@router.get("/books")\ndef list_books(): ...\n',
    ],
)
def test_address_in_use_is_found(project: Path, code: str) -> None:
    (project / "app/shop/pages.py").write_text(code)
    with pytest.raises(OperatorError, match="already uses the address /books"):
        feature_names.check_path(project, "/books")


def test_routes_below_a_prefix_are_other_addresses(project: Path) -> None:
    code = 'router = APIRouter(prefix="/shop")\n@router.get("/books")\ndef list_books(): ...\n'
    (project / "app/shop/pages.py").write_text(code)
    feature_names.check_path(project, "/books")


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (
            "blog = Feature('blog', models=everything())\n",
            "app/blog/feature.py has an unexpected models= argument. Add [models.Post]",
        ),
        (
            'from app.blog.api import router as api\n\nblog = Feature("blog", api=api)\n',
            "uses the name api for something else. Write `from app.blog import api`",
        ),
    ],
    ids=["computed argument", "module name in use"],
)
def test_unexpected_feature_file_names_the_code_to_add(
    oppman: Oppman, project: Path, feature: str, message: str
) -> None:
    (project / "app/blog/feature.py").write_text(feature)
    texts_before = file_texts(project)
    assert message in oppman("addmodel", "blog", "Post", "title:str").line()
    assert file_texts(project) == texts_before


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


@pytest.mark.usefixtures("no_migration")
def test_options_and_searchable_fields(oppman: Oppman, project: Path) -> None:
    fields = ("name:str", "mailbox:email")
    assert oppman("-q", "addmodel", "blog", "Person", *fields, "--history") == (0, "", "")
    line = '    __tablename__ = "blog_person"\n    keeps_history = True\n\n    name: '
    assert line in (project / "app/blog/models.py").read_text()
    for file in ("service", "admin"):
        assert 'search = ("name", "mailbox")' in (project / f"app/blog/{file}.py").read_text()


@pytest.mark.usefixtures("no_migration")
def test_default_may_contain_colons(oppman: Oppman, project: Path) -> None:
    fields = ("opens:time:default=10:30", "site:url:default=https://example.com:8080/:unique")
    assert oppman("addmodel", "blog", "Post", *fields).code == 0
    text = (project / "app/blog/models.py").read_text()
    assert "opens: time = Field(default=time(10, 30))" in text or "opens: time = time(10, 30)" in text
    assert '"https://example.com:8080/"' in text


@pytest.mark.usefixtures("no_migration")
def test_text_in_a_default_needs_no_import(oppman: Oppman, project: Path) -> None:
    assert oppman("addmodel", "blog", "Post", "title:str:default=utc_now or Decimal(5)").code == 0
    text = (project / "app/blog/models.py").read_text()
    assert 'title: Line = Field(default="utc_now or Decimal(5)", max_length=200)' in text
    assert "import Decimal" not in text
    assert "import utc_now" not in text


@pytest.mark.usefixtures("no_migration")
def test_project_model_may_be_called_team(oppman: Oppman, project: Path) -> None:
    assert oppman("addmodel", "blog", "Team", "name:str").code == 0
    assert oppman("addmodel", "blog", "Match", "title:str", "team:Team").code == 0
    text = (project / "tests/blog/test_matches.py").read_text()
    assert "from app.blog.models import Match, Team" in text
    assert "async def valid_data(make: Make)" in text
    assert not [name for name in ("opportune.contrib.teams", "make_team") if name in text]


@pytest.mark.parametrize(
    ("read", "icon", "rest"),
    [
        ("anyone", "", '"package"'),
        ("signed-in", "book", '"book", signed_in=True'),
        ("owner", "book", '"book", signed_in=True'),
        ("permitted", "book", '"book", permission=("spare-product", "list")'),
    ],
)
def test_navigation_link_follows_read_access(read: str, icon: str, rest: str) -> None:
    model = NewModel("shop", "SpareProduct", [], read, read, "/products", icon)
    assert navigation_link(model) == f'Link("Spare products", "/products", {rest})'
