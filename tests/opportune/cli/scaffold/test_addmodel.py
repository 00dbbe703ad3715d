"""What `addmodel` and `startapp FEATURE MODEL` write, what they refuse, and that `removemodel` takes it back."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from opportune.cli.main import main
from opportune.cli.scaffold import addmodel, models, startapp
from opportune.cli.scaffold.adding import navigation_link
from opportune.cli.scaffold.feature_file import with_model
from opportune.cli.scaffold.installed import INSTALLED
from opportune.cli.scaffold.model import NewModel
from opportune.cli.scaffold.models import KnownModel
from opportune.cli.scaffold.models import _models_in as models_in
from opportune.cli.scaffold.module_imports import merged, with_imports
from opportune.cli.scaffold.removing import plan_removal
from opportune.cli.scaffold.source import NotAsExpected, Source, with_item
from opportune.cli.scaffold.words import plural, singular, snake
from opportune.config.project import FRAMEWORK, PROJECT
from opportune.errors import OperatorError
from opportune.testing.services.postgres import Postgres
from tests.opportune.cli.command_server import NEEDED_FEATURES, TESTING, RunCommand, command_server
from tests.opportune.cli.conftest import Copy, install_only
from tests.opportune.test_imports import unlisted

EVERY_TYPE = (
    *("title:str:120", "slug:slug", "body:markdown", "words:text:500:optional", "price:money:USD:min=0"),
    *("stars:int:min=1:max=5", "ratio:float:optional", "weight:decimal:8,3:optional:index", "is_pinned:bool"),
    *("published_on:date:optional", "starts_at:datetime:default=now", "opens:time:optional", "code:str:20:unique"),
    *("status:enum:draft,published:default=draft", "kind:enum(short,not-long)", "contact:email", "site:url"),
    *("phone:phone:optional", "land:country", "cover:image:optional", "script:file", "data:json", "keywords:list"),
    *("category:Category", "parent:Post:optional", "tags:Tag[]", "topics:many:blog.Tag", "created_at", "updated_at"),
)
BY_HAND = tuple(
    word
    for word in EVERY_TYPE
    if word.partition(":")[0] not in ("starts_at", "cover", "script", "category", "parent", "tags", "topics")
)
COMMANDS = (
    ("startapp", "notes", "&&", "makemigrations", "notes"),
    ("startapp", "blog", "Category", "name:str:50:unique", "--read", "anyone", "--no-navigation"),
    ("addmodel", "blog", "Tag", "name:str:50:unique", "--read", "signed-in", "--write", "signed-in"),
    ("addmodel", "blog", "Post", *EVERY_TYPE, "--group", "Editors"),
    ("addmodel", "blog", "Comment", "user:owner", "post:Post:cascade", "text:text:500", "--read", "anyone"),
    ("startapp", "news", "Story", *BY_HAND, "--read", "anyone", "--by-hand"),
    ("addmodel", "news", "Memo", "owner", "title:str", "due_on:date", "kind:enum:a,b", "--by-hand"),
    ("startapp", "works", "Work", "team", "title:str", "--icon", "folder"),
    ("addmodel", "works", "Step", "team", "work:Work", "title:str:80:optional", "done:bool", "--read", "anyone"),
    ("addmodel", "works", "Journal", "team", "title:str", "due_on:date", "kind:enum:a,b", "--by-hand"),
    ("addmodel", "works", "Hint", "owner", "work:Work:cascade", "text:text"),
    ("addmodel", "notes", "Bookmark", "owner", "post:blog.Post", "label:str:optional:unique", "--icon", "bookmark"),
    ("startapp", "shop", "Order", "customer:account", "seller:account:optional", "title:str", "--read", "signed-in"),
    ("addmodel", "shop", "Visit", "user:account:optional:unique", "place:str", "--read", "anyone", "--write", "anyone"),
    ("addmodel", "shop", "Task", "owner", "helper:account", "title:str", "order:Order", "spare:Order:optional"),
    (
        "addmodel",
        "shop",
        "Claim",
        "account:account:cascade:optional",
        "text:text",
        "--read",
        "signed-in",
        "--write",
        "signed-in",
    ),
    ("addmodel", "works", "Shift", "team", "member:account", "due_on:date"),
)
TESTED = (
    "test_posts and not added_read or test_bookmarks and (nobody or anothers or pages) or others_read or who_reads "
    "or test_tasks and pages or accounts_that"
)
"""Models with fields of every type, and the tests that other models have: of owners, of readers and of accounts."""
SAMPLE = {
    "app/installed.py": "from app.blog.feature import blog\nfrom opportune.feature import Feature\n\n"
    "INSTALLED: tuple[Feature, ...] = (blog,)\n",
    "app/blog/feature.py": 'from opportune.feature import Feature\n\nblog = Feature(name="blog", summary="A blog.")\n',
    "app/blog/models.py": "from opportune.db import Model\n\n\nclass Tag(Model, table=True):\n"
    '    __tablename__ = "blog_tag"\n',
    "app/shop/models.py": "from opportune.db import Model\n\n\nclass Label(Model, table=True):\n"
    '    __tablename__ = "shop_label"\n',
    "app/shop/pages.py": 'router = LabelPages(Labels, "/labels").router\n',
}


@cache
def models_of_the_framework(file: Path) -> list[KnownModel]:
    """Read once for all tests, which read them all each time."""
    return [*models_in(file)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a feature, as far as addmodel reads it."""
    for name, text in SAMPLE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(addmodel, "PROJECT", tmp_path)
    monkeypatch.setattr(startapp, "PROJECT", tmp_path)
    monkeypatch.setattr(
        models,
        "_models_in",
        lambda file: (models_of_the_framework if file.is_relative_to(FRAMEWORK) else models_in)(file),
    )
    return tmp_path


def texts(project: Path) -> dict[str, str]:
    return {path.relative_to(project).as_posix(): path.read_text() for path in project.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, postgres_server: Postgres) -> Iterator[tuple[Path, RunCommand]]:
    """A copy of the project in which the commands above were run, and whose tests know of our server."""
    folder = Copy(tmp_path_factory.mktemp("made") / "copy").folder
    install_only(folder, "teams")
    shutil.copy(PROJECT / "pyproject.toml", folder)
    for name in ("tests/__init__.py", "tests/conftest.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    with command_server(folder, *TESTING, *NEEDED_FEATURES, "opportune.contrib.teams.feature") as run:
        for words in COMMANDS:
            code, output = run(*words)
            assert code == 0, output
            if words[:2] == ("startapp", "blog"):
                first = folder / "migrations/versions/blog/0001_initial.py"
                first.write_text(first.read_text().replace('"', "'"))  # as Alembic writes it where no ruff is installed
        yield folder, run


def test_what_is_written_passes_the_linter_and_is_formatted(made: tuple[Path, RunCommand]) -> None:
    for task in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *task, "--no-cache", "app", "tests"]
        result = subprocess.run(command, cwd=made[0], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout


def test_its_migrations_are_named_after_its_models(made: tuple[Path, RunCommand]) -> None:
    names = [path.name for path in sorted((made[0] / "migrations/versions/blog").glob("*.py"))]
    assert names == ["0001_initial.py", "0002_tag.py", "0003_post.py", "0004_comment.py"]


def test_target_migration_may_be_unformatted(made: tuple[Path, RunCommand]) -> None:
    first, _, post, _ = sorted((made[0] / "migrations/versions/blog").glob("*.py"))
    assert "'blog_category'" in first.read_text()
    assert "blog_category.id" in post.read_text()


def test_choices_of_a_second_model_have_a_class_of_their_own(made: tuple[Path, RunCommand]) -> None:
    models = (made[0] / "app/news/models.py").read_text()
    assert ("class Kind(StrEnum):" in models, "    kind: MemoKind\n" in models) == (True, True)


def test_account_fields_are_plain_foreign_keys(made: tuple[Path, RunCommand]) -> None:
    models = (made[0] / "app/shop/models.py").read_text()
    key = 'foreign_key="accounts_user.id", ondelete='
    assert f'    customer_id: int = Field({key}"CASCADE", index=True)\n' in models
    assert f'    seller_id: int | None = Field(default=None, {key}"SET NULL", index=True)\n' in models
    assert f'    user_id: int | None = Field(default=None, {key}"SET NULL", unique=True)\n' in models
    assert '    customer: User = Relationship(sa_relationship_kwargs={"foreign_keys": "Order.customer_id"})\n' in models


def test_rows_that_name_a_user_are_exported(made: tuple[Path, RunCommand]) -> None:
    """But for those that only another user or a team reads."""
    entry = (made[0] / "app/shop/feature.py").read_text().partition("personal_data=")[2]
    columns = ["Order.customer_id", "Order.seller_id", "Visit.user_id", "Task.owner_id", "Claim.account_id"]
    assert re.findall(r"models\.(\w+\.\w+)", entry) == columns
    assert "Shift.member_id" not in (made[0] / "app/works/feature.py").read_text()


def test_its_own_tests_pass_on_both_databases(made: tuple[Path, RunCommand]) -> None:
    both = ("-k", f"not postgresql and ({TESTED}) or test_posts and added_read or deleted_account")
    code, output = made[1]("pytest", "-q", *both, "tests/blog", "tests/notes", "tests/shop", "tests/works")
    assert code == 0, output[-5000:]
    assert "failed" not in output


def test_it_imports_what_the_guide_lists(made: tuple[Path, RunCommand]) -> None:
    files = [file for name in ("blog", "news", "notes", "shop") for file in made[0].glob(f"*/{name}/*.py")]
    assert len(files) > 15
    assert {file.name: found for file in files if (found := unlisted(file.read_text()))} == {}


def sources(folder: Path) -> dict[str, str]:
    """What the files say; a `feature.py` however its lines are wrapped."""
    files = [file for part in ("app", "tests") for file in (folder / part).rglob("*.*") if file.suffix != ".pyc"]
    found = {file.relative_to(folder).as_posix(): file.read_text() for file in files if file.is_file()}
    return {name: ast.unparse(ast.parse(text)) if "feature.py" in name else text for name, text in found.items()}


def test_removemodel_lists_what_still_names_the_model(made: tuple[Path, RunCommand]) -> None:
    """As git would, the test takes the listed files back, and the models then fit their migrations."""
    folder, run = made
    before = sources(folder)
    words = ("title:str", "owner", "kind:enum:a,b", "bookmark:Bookmark", "notes:many:Note", "helper:account")
    originals = {path: path.read_bytes() for name in before if "/notes/" in name for path in [folder / name]}
    assert run("addmodel", "notes", "Label", *words, "--group", "Sorters")[0] == 0
    assert "422" in (folder / "tests/notes/access.txt").read_text().partition("/bookmarks/{bookmark_id}/delete")[2]
    code, output = run("removemodel", "notes", "Label", "--yes")
    assert code == 0, output
    assert "  Kind, Label, LabelNote of app/notes/models.py\n" in output
    assert "  once you run migrate: notes_label, notes_label_note with all rows\n" in output
    after = sources(folder)
    assert after.keys() == before.keys()
    assert "Label" not in after["app/notes/models.py"]
    assert re.findall(r".*label.*", after["tests/notes/access.txt"]) == []
    listed = re.findall(r"^  (app/notes/(\w+)\.py):(\d+)$", output, re.MULTILINE)
    assert {module for _, module, _ in listed} == {"admin", "api", "feature", "pages", "service"}
    lines = {name: (folder / name).read_text().splitlines() for name, _, _ in listed}
    assert [line for name, _, at in listed if not re.search("[Ll]abel", line := lines[name][int(at) - 1])] == []
    for path, text in originals.items():
        path.write_bytes(text)
    code, output = run("makemigrations", "--check", "&&", "migrate", "notes", "&&", "migrate", "notes", "3")
    assert (code, output.startswith("No changes detected\n")) == (0, True), output
    assert (folder / "migrations/versions/notes/0004_drop_label.py").is_file()


NOT_TAKEN_OUT = (
    ("blog Post --yes", "Post is used by app/blog/models.py:"),
    ("blog Poste --yes", "blog has no model Poste. It has: Category, Tag, PostTag, PostTopic, Post, Comment.\n"),
    ("accounts Group --yes", "accounts has no model Group"),
    ("blgo Post --yes", "There is no feature app/blgo. Did you mean blog?\n"),
)
REMOVING = "import sys; from opportune.cli.main import main; print(*(main(words.split()) for words in sys.argv[2:]))"


def test_what_cannot_be_taken_out_stays(made: tuple[Path, RunCommand]) -> None:
    """In one process, since none of it changes anything."""
    before = sources(made[0])
    code, output = made[1]("-c", REMOVING, *(f"removemodel {words}" for words, _ in NOT_TAKEN_OUT))
    assert (code, output.splitlines().count("1 1 1 1")) == (0, 1), output
    assert [told for _, told in NOT_TAKEN_OUT if told not in output] == []
    assert sources(made[0]) == before


CANNOT_BE = (
    ("blog Post title", "'title' says no type: write title:str"),
    ("blog Post title:strng", "there is no type 'strng'. Did you mean string?"),
    ("blog Post title:str:uniqe", "title: str has no option 'uniqe'. Did you mean unique?"),
    ("blog Post title:str:0", "str has no option '0'"),
    ("blog Post class:str", "'class' means something in Python"),
    ("blog Post list:str", "'list' means something in Python"),
    ("blog Post date:date", "'date' means something in Python"),
    ("blog Post metadata:json", "'metadata' means something in Python"),
    ("blog Post registry:str", "'registry' means something in Python"),
    ("blog Post model_name:str", "'model_name' means something in Python"),
    ("blog Post copy:str", "'copy' means something in every model"),
    ("blog Post id:int", "'id' means something"),
    ("blog Post Title:str", "'Title' is no field's name"),
    ("blog Post password:str", "a secret or a right"),
    ("blog Post is_staff:bool", "a secret or a right"),
    ("blog Post title:str title:text", "Two fields are called 'title'"),
    ("blog Post tag:Tag tag_id:int", "Two fields are called 'tag_id'"),
    ("blog Post owner user:owner", "A row has one owner"),
    (
        "blog Post user:owner:optional",
        "Write user:account:optional for a user that a row may lack.",
    ),
    ("blog Post user:User", "write NAME:account for a user that a row points at"),
    ("blog Post user:acount", "there is no type 'acount'. Did you mean account?"),
    ("blog Post user:account:index", "user: reference takes no index of its own here"),
    ("blog Post user:account --write anyone --read anyone", "visitors who are not signed in cannot choose an account"),
    ("blog Post user:account user:str", "Two fields are called 'user'"),
    ("blog Post title:str user:account --by-hand", "user: --by-hand writes out texts"),
    ("blog Post team", "this site has no teams: add `teams` of opportune.features to app/installed.py first"),
    ("blog Post crew:team", "the field of a row's team has one name. Write team."),
    ("blog Post author:Author", "There is no model Author."),
    ("blog Post tag:Tga", "There is no model Tga. Did you mean Tag?"),
    ("blog Post labels:many:Label", "features do not import each other"),
    ("blog Post user:accounts.User", "accounts.User: write NAME:account"),
    ("blog Post parent:Post", "Write parent:Post:optional"),
    ("blog Post status:enum", "says no choices"),
    ("blog Post status:enum:a,a", "two of its choices are the same"),
    ("blog Post status:enum:a,B", "'B' is no choice"),
    ("blog Post status:enum:a,b:default=c", "'c' is no default for enum"),
    ("blog Post x:str:10:default=abcdefghijklmnop", "x: the default has 16 characters, more than the 10 of the field"),
    ("blog Post stars:int:default=many", "'many' is no default for int"),
    ("blog Post is_new:bool:optional", "Leave `optional` out"),
    ("blog Post is_new:bool:unique", "cannot be unique"),
    ("blog Post slug:slug stars:int", "there is no str that it could be made of"),
    ("blog Post slug:slug:name title:str", "'name' is no str of this model"),
    ("blog Post price:decimal:40,2", "decimal has no option '40,2'"),
    ("blog Post tag:Tag title:str --by-hand", "tag: --by-hand writes out texts"),
    ("blog Post stars:int --by-hand", "--by-hand wants a str"),
    ("blog Post owner title:str --read anyone --by-hand", "leave --read out"),
    ("blog Tag name:str", "blog has a model Tag already"),
    ("blog Label name:str", "shop has a model Label already"),
    ("blog User name:str", "means something in Python or in the code"),
    ("blog Group name:str", "accounts has a model Group already"),
    ("blog Exception name:str", "means something in Python"),
    ("blog post name:str", "'post' is no model's name"),
    ("blog Post name:str --path /labels", "app/shop/pages.py has the address /labels already"),
    ("blog Post name:str --path /admin", "The address /admin is one of the framework's"),
    ("blog Post name:str --path posts", "'posts' is no address"),
    ("blog Post name:str --read nobody", "'nobody' is nobody"),
    ("blog Post name:str --read owner", "Rows have no owner"),
    ("blog Post owner name:str --write anyone", "--read owner"),
    ("blog Post title:str --icon Book!", "'Book!' is no icon's name: take one of tabler.io/icons"),
    ("blog Post stars:int:min=many", "stars: 'many' is no number: write min=1."),
    ("blog Post stars:int:min=10:max=5", "stars: no number is at least 10 and at most 5."),
    ("blog Post title:str:min=1", "title: str has no option 'min=1'. `addmodel --help`"),
    ("blog Post writer:Person", "There is no model Person. Make it first:"),
    ("news Post name:str", "There is no feature app/news. Make it with its first model"),
    ("../blog Post name:str", "There is no feature"),
)


def test_what_cannot_be_is_one_line_and_changes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one project: nothing of the one before is there."""
    for words, told in CANNOT_BE:
        assert main(["addmodel", *words.split()]) == 1, words
        error = capsys.readouterr().err
        assert (told in error, error.count("\n")) == (True, 1), (words, error)
        assert texts(project) == SAMPLE, words


def test_the_only_model_of_a_feature_goes_with_that(project: Path) -> None:
    with pytest.raises(OperatorError, match=r"Label is the only model of shop: .* removeapp shop$"):
        plan_removal(project, "shop", "Label")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device", "there")])
def test_what_is_interrupted_or_fails_leaves_nothing(
    project: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_arguments: object) -> None:
        assert "class Post" in (project / "app/blog/models.py").read_text()
        raise error

    monkeypatch.setattr("opportune.cli.scaffold.adding.draft", lambda *_arguments: None)
    monkeypatch.setattr("opportune.cli.scaffold.adding.write_migration", fail)
    assert main(["addmodel", "blog", "Post", "title:str"]) == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert texts(project) == SAMPLE
    assert not (project / "tests").exists()
    assert "nothing was changed" in capsys.readouterr().err or isinstance(error, KeyboardInterrupt)


def test_unwritable_file_changes_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path, *words: object, **options: object) -> None:
        if path.name == "models.py":
            raise PermissionError(13, "Permission denied", str(path))
        write(path, *words, **options)  # type: ignore[arg-type]

    write = Path.write_text
    monkeypatch.setattr("opportune.cli.scaffold.adding.draft", lambda *_arguments: None)
    monkeypatch.setattr(Path, "write_text", refuse)
    monkeypatch.setattr(Path, "write_bytes", refuse)
    assert main(["addmodel", "blog", "Post", "title:str"]) == 1
    told = f"{project / 'app/blog/models.py'} cannot be written (Permission denied); nothing was changed.\n"
    assert capsys.readouterr().err == told
    assert texts(project) == SAMPLE


def test_unexpected_file_says_what_to_add(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "app/blog/feature.py").write_text("blog = Feature(name='blog', summary='', models=everything())\n")
    before = texts(project)
    assert main(["addmodel", "blog", "Post", "title:str"]) == 1
    told = "app/blog/feature.py says models=… in a way of its own: add models.Post there. Nothing was changed.\n"
    assert capsys.readouterr().err == told
    assert texts(project) == before


def test_other_meaning_of_a_module_name_is_one_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    feature = 'from app.blog.api import router as api\n\nblog = Feature(name="blog", summary="", api=api)\n'
    (project / "app/blog/feature.py").write_text(feature)
    assert main(["addmodel", "blog", "Post", "title:str"]) == 1
    assert "has something else called api: write `from app.blog import api`" in capsys.readouterr().err
    assert (project / "app/blog/feature.py").read_text() == feature


def test_personal_data_made_elsewhere_is_left_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "app/blog/feature.py").write_bytes(
        b"blog = Feature(\r\n    name='blog',  # ours\r\n    personal_data=personal_data,\r\n)\r\n"
    )
    monkeypatch.setattr("opportune.cli.scaffold.adding.draft", lambda *_arguments: None)
    monkeypatch.setattr("opportune.cli.scaffold.adding.write_migration", lambda *_arguments: None)
    assert main(["addmodel", "blog", "Page", "title:str", "owner"]) == 0
    assert "Add by hand to the owners of its personal data: Page.owner_id." in capsys.readouterr().out
    lines = (project / "app/blog/feature.py").read_bytes().split(b"\r\n")
    assert (lines[-4:-1], b"\n" in b"".join(lines)) == (
        [
            b'    navigation=[Link("Pages", "/pages", "point", signed_in=True)],',
            b"    personal_data=personal_data,",
            b")",
        ],
        False,
    )


def test_a_model_that_nobody_asked_for_has_no_migration_yet(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["startapp", "notes"]) == 0
    assert "python3 oppman.py makemigrations notes" in capsys.readouterr().out
    assert not (project / "migrations").exists()
    assert INSTALLED in texts(project)


def test_a_quiet_one_says_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("opportune.cli.scaffold.adding.draft", lambda *_arguments: None)
    monkeypatch.setattr("opportune.cli.scaffold.adding.write_migration", lambda *_arguments: None)
    assert main(["-q", "addmodel", "blog", "Post", "title:str"]) == 0
    assert "class Post" in (project / "app/blog/models.py").read_text()
    assert capsys.readouterr() == ("", "")


def test_project_model_may_be_called_team(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.cli.scaffold.adding.draft", lambda *_arguments: None)
    monkeypatch.setattr("opportune.cli.scaffold.adding.write_migration", lambda *_arguments: None)
    assert main(["addmodel", "blog", "Team", "name:str"]) == 0
    assert main(["addmodel", "blog", "Match", "title:str", "team:Team"]) == 0
    text = (project / "tests/blog/test_matches.py").read_text()
    assert ("from app.blog.models import Match, Team" in text, "async def new(make: Make)" in text) == (True, True)
    assert ("opportune.contrib.teams" in text, "make_team" in text) == (False, False)


def test_people_are_found_by_their_email(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.cli.scaffold.adding.draft", lambda *_arguments: None)
    monkeypatch.setattr("opportune.cli.scaffold.adding.write_migration", lambda *_arguments: None)
    assert main(["addmodel", "blog", "Person", "name:str", "contact:email"]) == 0
    assert 'search = ("name", "contact")' in (project / "app/blog/service.py").read_text()
    assert 'column_searchable_list = ("name", "contact")' in (project / "app/blog/admin.py").read_text()


FEATURE = '''\
"""A blog."""

from app.blog import pages  # of ours
from opportune.feature import (
    Feature,  # what it is
    Link,
)

blog = Feature(
    name="blog",
    models=[Tag],  # one so far
    pages=pages.router,
    admin=[
        TagAdmin,  # first
    ],
    navigation=(Link("Tags", "/tags", "tag"),),
    groups={"Editors": {"tag": "*"}},
)
'''


@pytest.mark.parametrize(
    ("read", "condition"),
    [
        ("anyone", ""),
        ("signed-in", ", signed_in=True"),
        ("owner", ", signed_in=True"),
        ("permitted", ', right=("book-review", "list")'),
    ],
)
def test_navigation_link_hides_pages_a_visitor_may_not_open(read: str, condition: str) -> None:
    model = NewModel("books", "BookReview", [], read, read, "/book-reviews", "book")
    assert navigation_link(model) == f'Link("Book reviews", "/book-reviews", "book"{condition})'


def test_an_entry_is_put_in_and_the_rest_stays_as_it_was_written() -> None:
    entries = {
        "models": "models.Post",
        "pages": "pages.posts_router",
        "api": "api.router",
        "admin": "admin.PostAdmin",
        "navigation": 'Link("Posts", "/posts", "point")',
        "personal_data": 'PersonalData(summary="Your posts", owners=[models.Post.owner_id])',
        "groups": '"Editors": {"post": "*"}',
    }
    expected = FEATURE.replace("import pages  # of ours", "import admin, api, models, pages  # of ours")
    expected = expected.replace("    Link,\n", "    Link,\n    PersonalData,\n")
    expected = expected.replace("[Tag],  # one so far", "[Tag, models.Post],  # one so far")
    expected = expected.replace("pages=pages.router,", "pages=[pages.router, pages.posts_router],\n    api=api.router,")
    expected = expected.replace("TagAdmin,  # first\n", "TagAdmin,  # first\n        admin.PostAdmin,\n")
    expected = expected.replace(
        '"tag"),),\n',
        '"tag"), Link("Posts", "/posts", "point")),\n'
        '    personal_data=PersonalData(summary="Your posts", owners=[models.Post.owner_id]),\n',
    ).replace('{"tag": "*"}', '{"tag": "*", "post": "*"}')
    assert with_model(FEATURE, "app.blog", entries) == expected


def test_a_feature_names_the_module_of_its_views_once() -> None:
    first = with_model('blog = Feature(name="blog")\n', "app.blog", {"admin": "admin.PostAdmin"})
    assert first.endswith('blog = Feature(\n    name="blog",\n    admin="app.blog.admin",\n)\n')
    assert with_model(first, "app.blog", {"admin": "admin.TagAdmin"}) == first


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = []", "x = [new]"),
        ("x = [a]", "x = [a, new]"),
        ("x = (a,)", "x = (a, new)"),
        ("x = [\n    a,\n    b\n]", "x = [\n    a,\n    b,\n    new,\n]"),
        ("x = [\n    a,  # ä\n]", "x = [\n    a,  # ä\n    new,\n]"),
        ("x = 'ä', [a]", "x = 'ä', [a, new]"),
        (f"x = [{'a' * 112}]", f"x = [\n    {'a' * 112},\n    new,\n]"),
    ],
)
def test_a_list_gets_one_entry_more(before: str, after: str) -> None:
    source = Source(before)
    display = [node for node in ast.walk(source.tree) if isinstance(node, ast.List | ast.Tuple)][-1]
    assert with_item(source, display, "new").text == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "from datetime import date\nfrom m import b\n"),
        ('"""It."""\n', '"""It."""\n\nfrom datetime import date\n\nfrom m import b\n'),
        ("from m import a, c\n", "from datetime import date\n\nfrom m import a, b, c\n"),
        ("from datetime import date\n\nfrom m import B\n", "from datetime import date\n\nfrom m import B, b\n"),
        ("from app.x import y\n", "from datetime import date\n\nfrom m import b\n\nfrom app.x import y\n"),
        (
            "import re\n\nfrom z import y\n",
            "import re\nfrom datetime import date\n\nfrom m import b\nfrom z import y\n",
        ),
        ("from m import a  # why\n", "from datetime import date\n\nfrom m import a, b  # why\n"),
    ],
)
def test_imports_stand_where_the_linter_wants_them(before: str, after: str) -> None:
    result = with_imports(before, {"m": ["b"], "datetime": ["date"]})
    assert result.replace("date\n\nfrom m import b\n", "date\nfrom m import b\n") == after.replace(
        "date\n\nfrom m import b\n", "date\nfrom m import b\n"
    )


def test_a_name_that_means_something_else_there_is_refused() -> None:
    for text in ("class Posts: ...\n", "Crud = 1\n", "from elsewhere import Crud\n"):
        with pytest.raises(NotAsExpected, match="already"):
            merged(text, "from opportune.crud import Crud\n\n\nclass Posts(Crud[Post]): ...\n")


def test_words_have_their_plurals() -> None:
    words = {"Post": "Posts", "Category": "Categories", "BookReview": "BookReviews", "Day": "Days", "Person": "People"}
    words |= {"Box": "Boxes", "Address": "Addresses", "Shelf": "Shelves", "News": "News", "Match": "Matches"}
    assert {one: plural(one) for one in words} == words
    assert {many: singular(snake(many)) for many in words.values()} == {words[one]: snake(one) for one in words}
