"""The default `Crud` class of a model, whose rules apply when other models refer to its rows."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import MetaData
from sqlmodel import Field

from opportune.accounts import User
from opportune.admin import AdminView
from opportune.admin.site import make_site
from opportune.config.settings import Settings
from opportune.crud import Crud, CrudApi, CrudPages, Permission
from opportune.crud.page_options import page_url_of
from opportune.crud.registry import crud_classes, default_crud
from opportune.db import Model
from opportune.db.models.model import NAMING_CONVENTION
from opportune.errors import OperatorError
from opportune.feature import Admin, Feature
from opportune.testing import make_user, signed_in_client
from opportune.testing.app import create_test_app
from tests.opportune.crud.library import user_key
from tests.opportune.site_with import site_fixture


class ForumTable(Model):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Post(ForumTable, table=True):
    __tablename__ = "forum_post"

    title: str = Field(max_length=80)
    owner_id: int = Field(sa_column=user_key())


class Comment(ForumTable, table=True):
    __tablename__ = "forum_comment"

    text: str = Field(max_length=80)
    post_id: int = Field(foreign_key="forum_post.id")
    owner_id: int = Field(sa_column=user_key())


class OpenPosts(Crud[Post]):
    """Readable by anyone, and declared above the default."""

    read_permission = Permission.ANYONE
    exclude = ("title",)


open_pages = CrudPages(OpenPosts, "/open-posts", columns=("id",))


class Posts(Crud[Post]):
    default = True
    owner_column = "owner_id"
    search = ("title",)


class Comments(Crud[Comment]):
    owner_column = "owner_id"
    search = ("text",)


class OpenPostAdmin(AdminView, model=Post):
    crud: ClassVar[type[Crud[Any]] | None] = OpenPosts


class PostAdmin(OpenPostAdmin):
    crud = Posts
    identity = "own-post"


class CommentAdmin(AdminView, model=Comment):
    pass


forum = Feature(
    "forum",
    "Posts and comments.",
    models=[Post, Comment],
    api=[CrudApi(OpenPosts, "/open-posts").router, CrudApi(Comments, "/comments").router],
    admin=Admin([OpenPostAdmin, PostAdmin, CommentAdmin]),
    pages=[open_pages.router, CrudPages(Posts, "/posts").router, CrudPages(Comments, "/comments").router],
)


app = site_fixture(forum, ForumTable.metadata)


@pytest.fixture
async def post(app: FastAPI, ann: User) -> Post:
    async with app.state.database.writer() as session:
        session.add(post := Post(title="Secret plan", owner_id=ann.id))
    return post


@pytest.fixture
async def bob(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Client of another user, who may only read the open posts."""
    async with signed_in_client(app, await make_user(app.state.database)) as client:
        yield client


@pytest.fixture
def registry() -> Iterator[None]:
    registered = dict(crud_classes)
    yield
    crud_classes.clear()
    crud_classes.update(registered)


async def test_reference_follows_the_default_class(bob: AsyncClient, post: Post) -> None:
    assert (await bob.get(f"/api/v1/open-posts/{post.id}")).status_code == 200
    response = await bob.post("/api/v1/comments", json={"text": "Hi", "post_id": post.id})
    assert response.status_code == 422
    response = await bob.post("/comments/new", data={"text": "Hi", "post_id": str(post.id)})
    assert response.status_code == 422
    assert post.title not in (await bob.get("/comments/new")).text


def test_pages_and_admin_link_to_the_default_class(app: FastAPI, post: Post) -> None:
    assert page_url_of(post) == f"/posts/{post.id}"
    view = make_site(app, "/admin").view_for_model(Post)
    assert view
    assert view.crud is Posts


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({}, {}, "Post has several data layers: {0}.Posts, {0}.First and {0}.Second. Set default = True in the one"),
        ({"default": True}, {"default": True}, "Data layers of Post with default = True: {0}.First and {0}.Second."),
    ],
)
@pytest.mark.usefixtures("registry")
def test_undeclared_default_stops_the_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, first: Any, second: Any, message: str
) -> None:
    monkeypatch.setattr(Posts, "default", False)
    crud_classes[Post] = [Posts]
    for name, options in (("First", first), ("Second", second)):
        type(name, (Posts,), options)
    with pytest.raises(OperatorError) as start:
        create_test_app(settings, [])
    with pytest.raises(OperatorError) as lookup:
        default_crud(Post)
    assert str(start.value) == str(lookup.value)
    assert str(start.value).startswith(message.format(__name__))
