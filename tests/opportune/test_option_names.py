"""Misspelt options, which would have no effect, in all classes that declare a part of a site."""

import re
from collections.abc import Callable
from typing import Any, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.admin import AdminView, Inline
from opportune.crud import Crud, CrudApi, CrudPages, writing
from opportune.crud.registry import crud_classes
from opportune.errors import OperatorError
from opportune.errors.option_names import find_misspelt
from opportune.feature import Admin, Feature, Jobs, Link, Llm, Panel, Site, Table
from opportune.jobs import JobContext, job
from tests.opportune.crud.library import Note, Notes


def declare(base: Any, *mixins: type[Any], **attributes: Any) -> Any:
    """Declare a subclass, and forget it if it is a data layer."""
    registered = dict(crud_classes)
    try:
        return type("Mine", (*mixins, base), {"model": Note, **attributes} if base is Crud else attributes)
    finally:
        crud_classes.clear()
        crud_classes.update(registered)


@pytest.mark.parametrize(
    ("declaration", "suggestion"),
    [
        (lambda: declare(Crud, exclud=("text",)), "exclude"),
        (lambda: declare(Crud, readabel=lambda self: True), "readable"),
        (lambda: declare(Crud, find=lambda self: []), "list"),
        (lambda: declare(Crud, owner="owner_id"), "owner_column"),
        (lambda: declare(CrudPages, colums=("text",)), "columns"),
        (lambda: CrudPages(Notes, "/misspelt", colums=("text",)), "columns"),
        (lambda: declare(CrudApi, withot=("delete",)), "without"),
        (lambda: Feature("x", "X.", hoks=[]), "hooks"),  # type: ignore[call-arg]  # misspelt
        (lambda: Inline(Note, "owner_id", (), sortabel="id"), "sortable"),  # type: ignore[call-arg]  # misspelt
        (lambda: job("x.y", attemps=1)(len), "attempts"),  # type: ignore[call-arg,arg-type]  # misspelt
    ],
)
def test_misspelt_option_is_refused(declaration: Callable[[], Any], suggestion: str) -> None:
    with pytest.raises(OperatorError, match=f"Did you mean {suggestion}\\?"):
        declaration()


async def work(_run: JobContext) -> None: ...


async def work_with_number(_run: JobContext, number: int) -> None: ...


async def shout(text: str) -> str:
    return text.upper()


async def no_run() -> None: ...


def lazy_context(_session: AsyncSession, _user: Any) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        (lambda: job("x.y")(cast(Any, len)), "job('x.y', function=…) needs a function that begins with async def"),
        (lambda: declare(Crud, readable=5), "Mine.readable is a method, not an option."),
        (lambda: Jobs(first=[work]), "Jobs(first=…) needs calls of jobs, such as summarise(), not function work"),
        (lambda: declare(Crud, search=(Note.text,)), "Mine.search needs Sequence[str], not (<"),
        (lambda: CrudPages(Notes, "/wrong", columns=5), "CrudPages(columns=…) needs Sequence[str], not 5."),
        (lambda: CrudPages(Notes, "/wrong", columns=("text", "text")), "CrudPages(columns=…) names text twice."),
        (
            lambda: Feature("x", settings=int),
            "Feature('x', settings=…) needs a subclass of opportune.config.BaseSettings, not <class 'int'>.",
        ),
        (lambda: Feature("x", quickstart="no.such"), "Feature('x', quickstart=…) names the module no.such, which does"),
        (lambda: Admin([Note]), "Admin(views=…) needs views, such as class BookAdmin(AdminView, model=Book), not <"),
        (lambda: Llm(tools=[5]), "Llm(tools=…) needs named functions, not 5."),
        (
            lambda: Site(init_app=cast(Any, shout)),
            "Site(init_app=…) needs plain functions, Callable[[FastAPI], None] | None, not function shout",
        ),
        (lambda: Panel("x.html", cast(Any, lazy_context)), "Panel(context=…) needs async functions, Callable["),
        (lambda: job("x.y")(cast(Any, no_run)), "Job x.y: no_run needs a first argument, run: JobContext."),
        (
            lambda: job("x.y", schedule="* * * * *")(work_with_number),
            "Job x.y: work_with_number: missing a required argument: 'number'.",
        ),
        (lambda: Table("x", Note, limit=21), "Table(limit=…) must be less than or equal to 20, not 21."),
        (lambda: CrudApi(Notes, "wrong").router, "'wrong' is no path of pages or an API. Write /books"),
        (
            lambda: CrudApi(Notes, "/wrong", without="delete"),
            "CrudApi(without=…) is a text. Write a tuple: ('delete',)",
        ),
    ],
)
def test_value_of_another_type_is_refused(declaration: Callable[[], Any], message: str) -> None:
    with pytest.raises(OperatorError, match=f"^{re.escape(message)}"):
        declaration()


def test_misspelt_method_of_admin_view_is_reported() -> None:
    view = declare(AdminView, column_lst=("id",), list_qery=lambda self, request: None)
    messages = [*find_misspelt(view, AdminView)]
    assert [message.split("Did you mean ")[1].split("?")[0] for message in messages] == ["column_list", "list_query"]


def test_arguments_of_jobs_can_have_names() -> None:
    @job("x.count")
    async def count(run: JobContext, n: int, step: int = 1) -> None: ...

    assert (count(n=3).arguments, count(3, step=2).arguments) == ((3,), (3, 2))
    with pytest.raises(OperatorError, match=r"Job x\.count: got an unexpected keyword argument 'm'"):
        count(1, m=3)  # type: ignore[call-arg]  # misspelt


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        (lambda: CrudApi(Notes, "/x", without=("read",)), "It is called get now."),
        (lambda: cast(Any, Link)("A", "/", right=1), "It is called permission now. `oppman.py upgrade` renames it."),
        (lambda: writing(Notes, "edit"), "There is no action 'edit'. It is called update now."),
        (
            lambda: Notes(cast("AsyncSession", None)).may("details"),
            "There is no action 'details'. It is called get now.",
        ),
    ],
)
def test_names_until_0_2_are_refused(declaration: Callable[[], Any], message: str) -> None:
    with pytest.raises(OperatorError, match=f"{re.escape(message)}$"):
        declaration()


def test_import_of_a_renamed_hook_names_the_new_one() -> None:
    with pytest.raises(ImportError, match=r"^opportune\.db has no after_change\. It is called after_update now\.$"):
        exec("from opportune.db import after_change")  # noqa: S102 - type checkers refuse the name
