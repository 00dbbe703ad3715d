"""The admin's part of a feature: views, dashboard and the page Operations."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Any, Literal, cast

from annotated_types import Interval
from fastapi import FastAPI
from sqlalchemy import DateTime
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.errors import OperatorError
from opportune.errors.arguments import strict
from opportune.errors.option_constraints import Names, having


@strict
@dataclass(frozen=True)
class AdminPanel:
    """A part of an admin page, rendered for superusers."""

    page: Literal["dashboard", "operations"]
    """The first page of the admin, or the page Operations."""
    template: str
    """A file below `templates/`. It sees the variables of the page, and `panel` with its own context."""
    context: Callable[[Request], Awaitable[Mapping[str, Any] | None]] | None = None
    """Return the context, or None to leave the panel out."""
    position: Literal["top", "bottom", "buttons"] = "top"
    """On the page Operations: above or below the cards, or beside the buttons. The dashboard has only a top."""


@strict
@dataclass(frozen=True)
class UserColumn:
    """A line on the admin's page of a user, shown to users who may list the counted rows."""

    label: str
    owner: Any
    """The column that points at the user, such as `Book.owner_id`."""
    value: Any = None
    """An aggregate of the user's rows, such as `func.max(Book.created_at)`; None for their number."""


@strict
@dataclass(frozen=True)
class Metric:
    """A chart on the admin's dashboard: new rows per day, for staff who may list these rows."""

    label: str
    at: Any
    """The column with the time of each row, such as `Message.created_at`."""
    shape: Literal["line", "bar"] = "line"
    by: Any = None
    """A column with choices, such as `Loan.state`: a bar for each choice instead of each day."""

    def __post_init__(self) -> None:
        type_ = getattr(self.at, "type", None)
        if not isinstance(getattr(type_, "impl_instance", type_), DateTime):
            raise OperatorError(f"Metric({self.label!r}, …) needs a datetime column, such as Message.created_at.")
        if self.by is not None and getattr(self.by, "class_", None) is not self.model:
            raise OperatorError(f"Metric({self.label!r}, by=…) needs a column of {self.model.__name__}.")

    @property
    def model(self) -> type[Any]:
        return cast("type[Any]", self.at.class_)


@strict
@dataclass(frozen=True)
class Number:
    """A number on the admin's dashboard, for staff who may list the model's rows."""

    label: str
    query: Any
    """A model or a select of its rows, which are counted; or a select of one value: `select(func.sum(Order.total))`."""
    filters: Mapping[str, str] = field(default_factory=dict)
    """Filters of the model's list, `{"state": "open"}`, which narrow the query. The number links to this list."""

    def __post_init__(self) -> None:
        if not isinstance(self.model, type):
            raise OperatorError(f"Number({self.label!r}, …) needs a model or a select of its columns.")

    @property
    def model(self) -> type[Any]:
        if isinstance(self.query, type):
            return self.query
        columns = getattr(self.query, "column_descriptions", None) or [{}]
        return cast("type[Any]", columns[0].get("entity"))


@strict
@dataclass(frozen=True)
class Table:
    """The first rows of a list on the admin's dashboard, for staff who may list the model's rows."""

    label: str
    model: type[Any]
    columns: Names = ()
    """Names as in the `columns` of the model's view; empty for the first columns of its list."""
    limit: Annotated[int, Interval(ge=1, le=20)] = 5
    """Number of rows, at most 20."""
    filters: Mapping[str, str] = field(default_factory=dict)
    """Filters of the model's list, `{"state": "open"}`. The table links to this list."""


Widget = Metric | Number | Table


@strict
@dataclass(frozen=True)
class SetupStep:
    """An item of the checklist that the admin shows to superusers of a new site."""

    name: str
    """Stored if a superuser dismisses the step."""
    label: str
    is_done: Callable[[FastAPI], Awaitable[bool]]
    """Runs whenever a superuser opens the overview."""
    url: str
    """Page where the step is done or described: `/admin/llm/provider`, or `/docs/mail` of the documentation."""


VIEW = having("views, such as class BookAdmin(AdminView, model=Book)", "icon")


@strict
@dataclass(frozen=True)
class Admin:
    """Views of a feature, and its additions to other pages of the admin."""

    views: Sequence[Annotated[type[Any], VIEW]] | str = ()
    """The module of its SQLAdmin views, `"app.books.admin"`, imported when the admin is first opened; or the views."""
    _: KW_ONLY
    extension: str = ""
    """Path of an `AdminExtension`, `"app.books.extension.BookTools"`: pages and buttons for the lists of all models."""
    metrics: Sequence[Widget] = ()
    """Charts, numbers and tables on the admin's dashboard."""
    user_columns: Sequence[UserColumn] = ()
    panels: Sequence[AdminPanel] = ()
    operations: Mapping[str, Any] = field(default_factory=dict)
    """Buttons on the admin's page Operations: a label and the call of a job."""
    actions: Mapping[str, Callable[[AsyncSession, Request], Awaitable[str]]] = field(default_factory=dict)
    """Actions of forms on the page Operations, `{"switch-off": switch_off}`, posted to `/admin/operations/do/NAME`.
    Each changes rows in one transaction with its log entry, and returns a sentence about the result."""
    setup_steps: Sequence[SetupStep] = ()
    setup_page: Callable[[Any], Awaitable[str]] | None = None
    """Return the path of a page that the first superuser should fill in next; empty if nothing is missing."""
