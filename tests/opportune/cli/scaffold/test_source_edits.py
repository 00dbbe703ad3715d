"""Edits of Python source, and spellings of names."""

import ast

import pytest

from opportune.cli.scaffold.feature_file import register_model
from opportune.cli.scaffold.module_imports import merge_modules, with_imports
from opportune.cli.scaffold.source import Source, UnexpectedStructure, with_item
from opportune.cli.scaffold.words import plural, singular, snake

FEATURE = '''\
"""A blog."""

from app.blog import pages  # project pages
from opportune.feature import (
    Accounts,
    Admin,
    Feature,  # declaration
    Link,
    Site,
)

blog = Feature(
    "blog",
    models=[Tag],  # only one
    pages=pages.router,
    site=Site(
        navigation=(Link("Tags", "/tags", "tag"),),
    ),
    admin=Admin([
        TagAdmin,  # first
    ]),
    accounts=Accounts(groups={"Editors": {"tag": "*"}}),
)
'''


def test_with_model_keeps_formatting_and_comments() -> None:
    entries = {
        "models": "models.Post",
        "pages": "pages.posts_router",
        "api": "api.router",
        "admin": "admin.PostAdmin",
        "navigation": 'Link("Posts", "/posts", "point")',
        "personal_data": 'PersonalData(summary="Your posts", owners=[models.Post.owner_id])',
        "groups": '"Editors": {"post": "*"}',
    }
    expected = FEATURE.replace("import pages  # project pages", "import admin, api, models, pages  # project pages")
    expected = expected.replace("    Link,\n", "    Link,\n    PersonalData,\n")
    expected = expected.replace("[Tag],  # only one", "[Tag, models.Post],  # only one")
    expected = expected.replace("pages=pages.router,", "pages=[pages.router, pages.posts_router],\n    api=api.router,")
    expected = expected.replace("TagAdmin,  # first\n", "TagAdmin,  # first\n        admin.PostAdmin,\n")
    expected = expected.replace('"tag"),),\n', '"tag"), Link("Posts", "/posts", "point")),\n')
    expected = expected.replace(
        'accounts=Accounts(groups={"Editors": {"tag": "*"}}),\n',
        "accounts=Accounts(\n"
        '        groups={"Editors": {"tag": "*", "post": "*"}},\n'
        '        personal_data=PersonalData(summary="Your posts", owners=[models.Post.owner_id]),\n'
        "    ),\n",
    )
    assert register_model(FEATURE, "app.blog", entries) == expected


def test_with_model_adds_the_admin_module_once() -> None:
    source = register_model('blog = Feature("blog")\n', "app.blog", {"admin": "admin.PostAdmin"})
    assert source.startswith("from opportune.feature import Admin\n")
    assert source.endswith('blog = Feature(\n    "blog",\n    admin=Admin("app.blog.admin"),\n)\n')
    assert register_model(source, "app.blog", {"admin": "admin.TagAdmin"}) == source


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
def test_with_item(before: str, after: str) -> None:
    source = Source(before)
    display = [node for node in ast.walk(source.tree) if isinstance(node, ast.List | ast.Tuple)][-1]
    assert with_item(source, display, "new").text == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "from datetime import date\nfrom m import b\n"),
        ('"""Text."""\n', '"""Text."""\n\nfrom datetime import date\n\nfrom m import b\n'),
        ("from m import a, c\n", "from datetime import date\n\nfrom m import a, b, c\n"),
        ("from datetime import date\n\nfrom m import B\n", "from datetime import date\n\nfrom m import B, b\n"),
        ("from app.x import y\n", "from datetime import date\n\nfrom m import b\n\nfrom app.x import y\n"),
        (
            "import re\n\nfrom z import y\n",
            "import re\nfrom datetime import date\n\nfrom m import b\nfrom z import y\n",
        ),
        ("from m import a  # reason\n", "from datetime import date\n\nfrom m import a, b  # reason\n"),
    ],
)
def test_imports_are_sorted_like_ruff(before: str, after: str) -> None:
    result = with_imports(before, {"m": ["b"], "datetime": ["date"]})
    assert result.replace("date\n\nfrom m import b\n", "date\nfrom m import b\n") == after.replace(
        "date\n\nfrom m import b\n", "date\nfrom m import b\n"
    )


def test_merge_refuses_a_name_in_use() -> None:
    for text in ("class Posts: ...\n", "Crud = 1\n", "from elsewhere import Crud\n"):
        with pytest.raises(UnexpectedStructure, match="already has a"):
            merge_modules(text, "from opportune.crud import Crud\n\n\nclass Posts(Crud[Post]): ...\n")


def test_plural_and_singular() -> None:
    plurals = {
        "Post": "Posts",
        "Category": "Categories",
        "BookReview": "BookReviews",
        "Day": "Days",
        "Person": "People",
    }
    plurals |= {"Key": "Keys", "Series": "Series", "Analysis": "Analyses", "Status": "Statuses", "Quiz": "Quizzes"}
    plurals |= {"Box": "Boxes", "Address": "Addresses", "Shelf": "Shelves", "News": "News", "Match": "Matches"}
    assert {name: plural(name) for name in plurals} == plurals
    assert [singular(snake(name)) for name in plurals.values()] == [snake(name) for name in plurals]
