"""Edits of Python source, and spellings of names."""

import ast
from pathlib import Path

import pytest

from opportune.cli.scaffold.feature_file import register_model
from opportune.cli.scaffold.file_changes import write_files
from opportune.cli.scaffold.source import Source, UnexpectedStructure, merge_modules, with_imports, with_item
from opportune.cli.scaffold.words import plural, singular, snake

FEATURE = Path(__file__).with_name("blog_feature.txt").read_text(encoding="utf-8")
ADMIN_MODULE = ['admin=Admin("app.blog.admin")']


def test_with_model_keeps_formatting_and_comments() -> None:
    arguments = [
        "models=[models.Post]",
        "pages=pages.posts_router",
        "api=api.router",
        "admin=Admin([admin.PostAdmin])",
        'site=Site(navigation=[Link("Posts", "/posts", "point")])',
        'accounts=Accounts(personal_data=PersonalData(summary="Your posts", owners=[models.Post.owner_id]))',
        'accounts=Accounts(groups={"Editors": {"post": "*"}})',
    ]
    expected = FEATURE.replace("import pages  # project pages", "import pages, admin, api, models  # project pages")
    expected = expected.replace("    Site,\n", "    Site, PersonalData,\n", 1)
    expected = expected.replace("[Tag],  # only one", "[Tag, models.Post],  # only one")
    expected = expected.replace("pages=pages.router,", "pages=[pages.router, pages.posts_router],\n    api=api.router,")
    expected = expected.replace("TagAdmin,  # first\n", "TagAdmin,  # first\n        admin.PostAdmin,\n")
    expected = expected.replace('"tag"),),\n', '"tag"), Link("Posts", "/posts", "point")),\n')
    expected = expected.replace(
        'groups={"Editors": {"tag": "*"}}',
        'groups={"Editors": {"tag": "*", "post": "*"}}, '
        'personal_data=PersonalData(summary="Your posts", owners=[models.Post.owner_id])',
    )
    assert register_model(FEATURE, "app.blog", arguments) == expected


def test_with_model_adds_the_admin_module_once() -> None:
    source = register_model('blog = Feature("blog")\n', "app.blog", ADMIN_MODULE)
    assert source.startswith("from opportune.feature import Admin\n")
    assert source.endswith('blog = Feature("blog", admin=Admin("app.blog.admin"))\n')
    assert register_model(source, "app.blog", ADMIN_MODULE) == source


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"Your posts", owners=[Post.owner_id]', '"Your posts", owners=[Post.owner_id, models.Tag.owner_id]'),
        ("summary=SUMMARY, owners=[]", "summary=SUMMARY, owners=[models.Tag.owner_id]"),
    ],
)
def test_owner_is_added_to_personal_data(before: str, after: str) -> None:
    feature = 'blog = Feature("blog", accounts=Accounts(personal_data=PersonalData(%s)))\n'
    new = 'accounts=Accounts(personal_data=PersonalData(summary="Your tags", owners=[models.Tag.owner_id]))'
    assert register_model(feature % before, "app.blog", [new]).endswith(feature % after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = []", "x = [new]"),
        ("x = [a]", "x = [a, new]"),
        ("x = [\n    a,\n    b\n]", "x = [\n    a,\n    b,\n    new,\n]"),
        ("x = [\n    a,  # ä\n]", "x = [\n    a,  # ä\n    new,\n]"),
        ("x = ()", "x = (new,)"),
    ],
)
def test_with_item(before: str, after: str) -> None:
    source = Source(before)
    display = [node for node in ast.walk(source.tree) if isinstance(node, ast.List | ast.Tuple)][-1]
    assert with_item(source, display, "new").text == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "from datetime import date\nfrom m import b\n"),
        ('"""Text."""\n', '"""Text."""\n\nfrom datetime import date\nfrom m import b\n'),
        ("from m import a, c\n", "from m import a, c, b\nfrom datetime import date\n"),
        ("from .m import a\n", "from .m import a\nfrom datetime import date\nfrom m import b\n"),
        (
            "from m import (\n    a,  # c\n)\nx = 1\n",
            "from m import (\n    a, b,  # c\n)\nfrom datetime import date\nx = 1\n",
        ),
    ],
)
def test_imports_are_added(before: str, after: str) -> None:
    assert with_imports(before, {"m": ["b"], "datetime": ["date"]}) == after


def test_code_is_formatted_unless_it_had_another_format(tmp_path: Path) -> None:
    code, texts = "from z import b\nfrom a import c\nx = [1,]\n", {}
    for name, before in (("new", None), ("formatted", "x = [1]\n"), ("other", "x = [1,2]\n")):
        path = tmp_path / f"{name}.py"
        texts[path] = code
        if before:
            path.write_text(before)
    with write_files(texts, tmp_path):
        new, formatted, other = (path.read_text() for path in texts)
    assert other == code
    assert new == formatted == "from a import c\nfrom z import b\n\nx = [\n    1,\n]\n"


def test_merge_refuses_a_name_in_use() -> None:
    for text in ("class Posts: ...\n", "Crud = 1\n", "from elsewhere import Crud\n"):
        with pytest.raises(UnexpectedStructure, match="already has a"):
            merge_modules(text, "from opportune.crud import Crud\n\n\nclass Posts(Crud[Post]): ...\n")


@pytest.mark.parametrize("start", ["# Comment\n@b\n", "@b\nasync "])
def test_merge_keeps_the_start_of_a_definition(start: str) -> None:
    merged = merge_modules("from m import a\n", f"from m import b\n\n\n{start}def c(): ...\n")
    assert merged == f"from m import a, b\n\n\n{start}def c(): ...\n"


def test_plural_and_singular() -> None:
    plurals = {"Post": "Posts", "Category": "Categories", "BookReview": "BookReviews", "Day": "Days", "Key": "Keys"}
    plurals |= {"Person": "People", "Series": "Series", "Analysis": "Analyses", "Status": "Statuses", "News": "News"}
    plurals |= {"Box": "Boxes", "Address": "Addresses", "Shelf": "Shelves", "Match": "Matches", "Quiz": "Quizzes"}
    assert {name: plural(name) for name in plurals} == plurals
    assert [singular(snake(name)) for name in plurals.values()] == [snake(name) for name in plurals]
