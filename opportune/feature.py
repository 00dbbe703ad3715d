"""The declaration of a feature, which the framework and other features read."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from opportune.errors import OperatorError
from opportune.errors.option_names import strict
from opportune.services import Service, Services

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlmodel import SQLModel
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = [
    "AdminPanel",
    "Check",
    "Cleanup",
    "Demo",
    "Feature",
    "Finding",
    "HealthLight",
    "Link",
    "Metric",
    "Number",
    "Panel",
    "Person",
    "PersonalData",
    "Service",
    "Services",
    "SetupStep",
    "SiteSearch",
    "Table",
    "UserColumn",
]


@strict
@dataclass(frozen=True)
class Link:
    """An entry of the navigation bar."""

    label: str
    path: str
    icon: str
    """A Tabler icon's name without its prefix: `message` for `ti-message`."""
    right: tuple[str, str] | None = None
    """Model and action, `("book", "list")`: the link is shown to users who have this right."""
    signed_in: bool = False
    """Whether the link is shown to signed-in users only."""


@strict
@dataclass(frozen=True)
class SiteSearch:
    """Rows or documents that a feature adds to the page /search and to the command palette."""

    label: str
    """Heading of the results, such as "Books"."""
    find: "Callable[[AsyncSession, Any, str, int], Awaitable[Sequence[Link]]]"
    """Return at most this number of matches that the user may open, the best first. Arguments: the session, the user
    (None for anonymous visitors), the query and the number."""
    path: str = ""
    """Page with all results, which reads `?q=`."""


@strict
@dataclass(frozen=True)
class Panel:
    """A part that a feature adds to a page of another feature, such as the profile page."""

    template: str
    """A file below `templates/`, rendered with the context. Blank output is left out."""
    context: "Callable[[AsyncSession, Any], Awaitable[Mapping[str, Any]]]"
    """Return the template variables for the user who sees the page; for anonymous visitors the user is None."""


@strict
@dataclass(frozen=True)
class AdminPanel:
    """A part of an admin page, rendered for superusers."""

    page: Literal["dashboard", "operations"]
    """The first page of the admin, or the page Operations."""
    template: str
    """A file below `templates/`. It sees the variables of the page, and `panel` with its own context."""
    context: "Callable[[Request], Awaitable[Mapping[str, Any] | None]] | None" = None
    """Return the context, or None to leave the panel out."""
    position: Literal["top", "bottom", "buttons"] = "top"
    """On the page Operations: above or below the cards, or beside the buttons. The dashboard has only a top."""


@strict
@dataclass(frozen=True)
class HealthLight:
    """A line of the status page: the condition of one part of the site."""

    part: str
    """Name of the part, such as "Catalogue"."""
    words: str
    """Its condition in a few words, such as "is available"."""
    state: Literal["ok", "notice", "fault"] = "ok"
    """`notice` is shown in yellow and `fault` in red. Only a fault makes the status red."""
    address: str = ""
    """Page where a superuser can act on it."""
    hint: str = ""
    """Advice for a state that is not ok."""


@strict
@dataclass(frozen=True)
class Gauge:
    """A number from the database for `GET /metrics`."""

    name: str
    """Name of the metric, such as `books_lent`."""
    description: str
    """One sentence for `# HELP`."""
    samples: Sequence[tuple[Mapping[str, str], float]]
    """Labels and value. No label may contain text of visitors."""


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
class Demo:
    """Sample data, which can be removed without touching other rows."""

    load: "Callable[[AsyncSession], Awaitable[int]]"
    """Add the rows that are missing and return how many were added."""
    clear: "Callable[[AsyncSession], Awaitable[int]]"
    """Remove exactly the rows that `load` adds and return how many were removed."""


@strict
@dataclass(frozen=True)
class Person:
    """The user who downloads their data or deletes their account."""

    id: int
    """The user's id."""
    email: str
    """Empty until the user has verified it."""


@strict
@dataclass(frozen=True, kw_only=True)
class PersonalData:
    """Personal data that a feature stores: users can download it, and it is deleted with their account."""

    summary: str
    """A heading for users, such as "Your to-dos"."""
    owners: Sequence[Any] = ()
    """Columns that point at the owner of a row, such as `Review.user_id`."""
    read: "Callable[[AsyncSession, Person], Awaitable[Mapping[str, Sequence[Mapping[str, Any]]]]] | None" = None
    """Return the user's rows by kind, as JSON values and datetimes, if `owners` does not cover them."""
    files: "Callable[[AsyncSession, Person], Awaitable[Sequence[str]]] | None" = None
    """Return the names of the user's stored files."""
    refuse: "Callable[[AsyncSession, Person], Awaitable[str]] | None" = None
    """Return a sentence with the reason why the user cannot leave yet; empty if they can."""
    forget: "Callable[[AsyncSession, Person], Awaitable[None]] | None" = None
    """Remove data of the user that no cascading foreign key removes with the user's row."""


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
        from sqlalchemy import DateTime  # noqa: PLC0415 - this module is read before anything is installed

        type_ = getattr(self.at, "type", None)
        if not isinstance(getattr(type_, "impl_instance", type_), DateTime):
            raise OperatorError(f"Metric({self.label!r}, …) needs a datetime column, such as Message.created_at.")
        if self.shape not in ("line", "bar"):
            raise OperatorError(f'Metric({self.label!r}, shape={self.shape!r}): choose "line" or "bar".')
        if self.by is not None and getattr(self.by, "class_", None) is not self.model:
            raise OperatorError(f"Metric({self.label!r}, by=…) needs a column of {self.model.__name__}.")

    @property
    def model(self) -> type[Any]:
        model: type[Any] = self.at.class_
        return model


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
        model: type[Any] = columns[0].get("entity")
        return model


@strict
@dataclass(frozen=True)
class Table:
    """The first rows of a list on the admin's dashboard, for staff who may list the model's rows."""

    label: str
    model: type[Any]
    columns: Sequence[str] = ()
    """Names as in the `column_list` of the model's view; empty for the first columns of its list."""
    limit: int = 5
    filters: Mapping[str, str] = field(default_factory=dict)
    """Filters of the model's list, `{"state": "open"}`. The table links to this list."""

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_TABLE_ROWS:
            raise OperatorError(f"Table({self.label!r}, limit={self.limit}): choose 1 to {MAX_TABLE_ROWS} rows.")


MAX_TABLE_ROWS = 20

Widget = Metric | Number | Table


@strict
@dataclass(frozen=True)
class Cleanup:
    """Rows that a daily job deletes in batches: `Cleanup(Loan, lambda _: col(Loan.expires_at) <= utc_now())`."""

    model: type[Any]
    condition: Callable[[Any], Any]
    """Return the condition of the rows to delete, from the site's settings. None keeps all rows."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Set these values instead of deleting the rows. A row that has them must no longer match."""


@strict
@dataclass(frozen=True)
class SetupStep:
    """An item of the checklist that the admin shows to superusers of a new site."""

    name: str
    """Stored if a superuser dismisses the step."""
    label: str
    is_done: "Callable[[FastAPI], Awaitable[bool]]"
    """Runs whenever a superuser opens the overview."""
    address: str
    """Page where the step is done or described: `/admin/llm/provider`, or `/docs/mail` of the documentation."""


@strict
@dataclass(frozen=True)
class Finding:
    """One line of `oppman.py check`: a problem and the next step. A warning may be intended; an error must be fixed."""

    text: str
    """The problem and the next step, in one line."""
    is_error: bool = True
    """Whether `check` fails with it. A warning has False."""


Check = Callable[[Any], Iterator[Finding]]
"""Inspects the site's settings."""


@strict
@dataclass(frozen=True, kw_only=True)
class Feature:
    """One entry of `app/installed.py`."""

    name: str
    """Name of the feature, of its folders, and of its tables as their prefix."""
    summary: str
    """One sentence for the landing page."""
    settings: type[Any] | None = None
    """A subclass of `BaseSettings`, read with the site's settings: `settings.of(BooksSettings)`."""
    models: "Sequence[type[SQLModel]]" = ()
    adopts_tables: bool = False
    """Whether its tables existed before the feature. Their names then need no prefix."""
    database: Literal["", "postgresql"] = ""
    """The only database that supports its tables; empty for any. Tests on SQLite are skipped."""
    requires: Sequence[str] = ()
    """Names of optional features that it uses, such as `("answers",)`. The site does not start without them."""
    pages: "APIRouter | Sequence[APIRouter] | None" = None
    api: "APIRouter | Sequence[APIRouter] | None" = None
    """Mounted below /api/v1."""
    routes: "APIRouter | Sequence[APIRouter] | None" = None
    """Routes that load no user, such as health checks and files. The API's document does not list them."""
    error_handlers: "Mapping[type[Exception], Callable[[Request, Any], Awaitable[Response]]]" = field(
        default_factory=dict
    )
    """Responses to exceptions of its routes. They replace handlers of the framework for the same exception."""
    middleware: "Sequence[Middleware] | Callable[[FastAPI], Iterable[Middleware]]" = ()
    """Outermost first, or a function that selects them by `app.state.settings`. The first feature's are outermost."""
    is_outermost: bool = False
    """Whether its middleware and contexts surround those of all other features, because it observes them."""
    init_app: "Callable[[FastAPI], None] | None" = None
    """Change the application before its routes are added. Use it if no other field fits."""
    template_globals: Mapping[str, Any] = field(default_factory=dict)
    template_filters: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    admin: Sequence[Any] | str = ()
    """The module of its SQLAdmin views, `"app.books.admin"`, imported when the admin is first opened; or the views."""
    admin_extension: str = ""
    """Path of an `AdminExtension`, `"app.books.extension.BookTools"`: pages and buttons for the lists of all models."""
    metrics: Sequence[Widget] = ()
    """Charts, numbers and tables on the admin's dashboard."""
    navigation: Sequence[Link] = ()
    searches: Sequence[SiteSearch] = ()
    """Additional results of the page /search. Models with `CrudPages` are searched without it."""
    navigation_template: str = ""
    """A file below `templates/` that every page shows in its navigation."""
    profile_panel: Panel | None = None
    """Shown on the user's profile page, below name and address."""
    home_card: Panel | None = None
    """Shown on the landing page, also to anonymous visitors."""
    user_columns: Sequence[UserColumn] = ()
    is_invited: "Callable[[AsyncSession, str], Awaitable[bool]] | None" = None
    """Return whether a person with this e-mail address may register if REGISTRATION is `invited`."""
    setup_page: Callable[[Any], Awaitable[str]] | None = None
    """Return the path of a page that the first superuser should fill in next; empty if nothing is missing."""
    setup_steps: Sequence[SetupStep] = ()
    demo: Demo | None = None
    sample_rows: "Mapping[type[SQLModel], Mapping[str, Any]]" = field(default_factory=dict)
    """Values of rows in tests of access, for models that refuse the generated values."""
    personal_data: PersonalData | None = None
    jobs: Sequence[Any] = ()
    """Background and scheduled jobs. A job that is not listed cannot be queued."""
    cleanups: Sequence[Cleanup] = ()
    """Old rows that the job `jobs.clean_up` deletes each day (oppman.py docs databases)."""
    first_jobs: Sequence[Any] = ()
    """Calls of jobs that quickstart queues for a new site."""
    hooks: Sequence[Callable[..., Awaitable[None]]] = ()
    """Functions of its `hooks.py` that run when rows are created, changed or deleted (oppman.py docs hooks)."""
    tools: Sequence[Any] = ()
    """Functions that a language model may call on behalf of the user (oppman.py docs tools)."""
    llm_guard: Callable[[Any, Any], Any] | None = None
    """Return the guard that counts and limits calls of language models, from settings and database. A site has one."""
    tool_headers: Sequence[str] = ()
    """Headers that its dependencies read. The MCP server passes them on to tools."""
    retrieval: Sequence[Any] = ()
    """Functions that return `Source`s for a question. They are called before a model that cannot call tools."""
    operations: Mapping[str, Any] = field(default_factory=dict)
    """Buttons on the admin's page Operations: a label and the call of a job."""
    admin_operations: "Mapping[str, Callable[[AsyncSession, Request], Awaitable[str]]]" = field(default_factory=dict)
    """Actions of forms on the page Operations, `{"switch-off": switch_off}`, posted to `/admin/operations/do/NAME`.
    Each changes rows in one transaction with its log entry, and returns a sentence about the result."""
    admin_panels: Sequence[AdminPanel] = ()
    status: "Mapping[str, Callable[[FastAPI], Awaitable[Sequence[HealthLight]]]]" = field(default_factory=dict)
    """Lines of the status page by their heading. Features may share a heading."""
    gauges: "Callable[[AsyncSession], Awaitable[Sequence[Gauge]]] | None" = None
    """Reads numbers for `GET /metrics` when they are requested."""
    groups: "Mapping[str, Mapping[str, str | Sequence[str]]]" = field(default_factory=dict)
    """Groups with their rights, `{"Librarians": {"book": "*", "loan": ["list", "edit"]}}`. `migrate` creates them;
    from then on they are edited in the admin."""
    services: Sequence[Service[Any]] = ()
    """Objects that routes find in `app.state` and jobs in their context. They are closed in reverse order."""
    commands: Mapping[str, str] = field(default_factory=dict)
    """Modules of its commands for `oppman.py` by name, `{"books": "app.books.commands"}` (oppman.py docs commands)."""
    checks: Sequence[Check] = ()
    """Checks for `oppman.py check`."""
    production_checks: Sequence[Check] = ()
    """Checks for `oppman.py check --deploy`, for a start in production, and for the admin's page Operations."""
    process: Callable[[Services], AbstractAsyncContextManager[None]] | None = None
    """Context that servers and workers enter before they use the database, and exit last."""
    lifespan: "Callable[[FastAPI], AbstractAsyncContextManager[None]] | None" = None
    """Context that servers enter after the database is set up, and exit before it is closed."""

    def __post_init__(self) -> None:
        for job in self.jobs:
            if not hasattr(job, "name"):
                function = getattr(job, "__name__", str(job))
                raise OperatorError(
                    f"Feature({self.name!r}, jobs=…) lists {function}, which is not a job. "
                    f'Write @job("{self.name}.{function}") above it.'
                )
        if not isinstance(self.commands, Mapping) or not all(map(_is_module_name, self.commands.values())):
            raise OperatorError(
                f"Feature({self.name!r}, commands=…) needs the name of a module for each command: "
                f'commands={{"{self.name}": "app.{self.name}.commands"}}.'
            )


def _is_module_name(value: object) -> bool:
    return isinstance(value, str) and all(map(str.isidentifier, value.split(".")))
