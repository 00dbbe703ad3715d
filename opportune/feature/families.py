"""Families of arguments of `Feature`, such as `site=Site(…)`, and what they list. The admin's are in `admin`."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI
from pydantic import StringConstraints
from sqlalchemy import Connection, Executable
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from opportune.errors.arguments import strict
from opportune.errors.option_constraints import having
from opportune.services import Service, Services


@strict
@dataclass(frozen=True)
class Link:
    """An entry of the navigation bar."""

    label: str
    path: Annotated[str, StringConstraints(pattern=r"^(/|#|\w+:)")]
    """A path of this site, or a URL."""
    icon: str
    """A Tabler icon's name without its prefix: `message` for `ti-message`."""
    permission: tuple[str, str] | None = None
    """Model and action, `("book", "list")`: the link is shown to users who have this permission."""
    signed_in: bool = False
    """Whether the link is shown to signed-in users only."""
    summary: str = ""
    """One sentence about the page, for the landing page."""


@strict
@dataclass(frozen=True)
class SiteSearch:
    """Rows or documents that a feature adds to the page /search and to the command palette."""

    label: str
    """Heading of the results, such as "Books"."""
    find: Callable[[AsyncSession, Any, str, int], Awaitable[Sequence[Link]]]
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
    context: Callable[[AsyncSession, Any], Awaitable[Mapping[str, Any]]]
    """Return the template variables for the user who sees the page; for anonymous visitors the user is None."""


@strict
@dataclass(frozen=True)
class Site:
    """Additions of a feature to the whole site."""

    _: KW_ONLY
    navigation: Sequence[Link] = ()
    navigation_template: str = ""
    """A file below `templates/` that every page shows in its navigation."""
    home_card: Panel | None = None
    """Shown on the landing page and, with the user's rows, on the start page of signed-in users."""
    searches: Sequence[SiteSearch] = ()
    """Additional results of the page /search. Models with `CrudPages` are searched without it."""
    routes: APIRouter | Sequence[APIRouter] | None = None
    """Routes that load no user, such as health checks and files. The API's document does not list them."""
    error_handlers: Mapping[type[Exception], Callable[[Request, Any], Awaitable[Response]]] = field(
        default_factory=dict
    )
    """Responses to exceptions of its routes. They replace handlers of the framework for the same exception."""
    template_globals: Mapping[str, Any] = field(default_factory=dict)
    template_filters: Mapping[str, Callable[..., object]] = field(default_factory=dict)
    middleware: Sequence[Middleware] | Callable[[FastAPI], Iterable[Middleware]] = ()
    """Outermost first, or a function that selects them by `app.state.settings`. The first feature's are outermost."""
    init_app: Callable[[FastAPI], None] | None = None
    """Change the application before its routes are added. Use it if no other field fits."""
    is_outermost: bool = False
    """Whether its middleware and contexts surround those of all other features, because it observes them."""


@strict
@dataclass(frozen=True)
class Demo:
    """Sample data, which can be removed without touching other rows."""

    load: Callable[[AsyncSession], Awaitable[int]]
    """Add the rows that are missing and return how many were added."""
    clear: Callable[[AsyncSession], Awaitable[int]]
    """Remove exactly the rows that `load` adds and return how many were removed."""


@strict
@dataclass(frozen=True)
class Data:
    """Options of the feature's tables, and rows for demonstrations and tests."""

    _: KW_ONLY
    adopts_tables: bool = False
    """Whether its tables existed before the feature. Their names then need no prefix."""
    database: Literal["", "postgresql"] = ""
    """The only database that supports its tables; empty for any. Tests on SQLite are skipped."""
    demo: Demo | None = None
    sample_rows: Mapping[type[SQLModel], Mapping[str, Any]] = field(default_factory=dict)
    """Values of rows in tests of access, for models that refuse the generated values."""
    post_migrate: Sequence[Callable[[Connection], Sequence[str | Executable]]] = ()
    """Functions that return the SQL to run after migrations, depending on the current tables. Empty if all is done."""


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
    owners: Sequence[Annotated[Any, having("columns, such as Review.user_id", "class_")]] = ()
    """Columns that point at the owner of a row, such as `Review.user_id`."""
    read: Callable[[AsyncSession, Person], Awaitable[Mapping[str, Sequence[Mapping[str, Any]]]]] | None = None
    """Return the user's rows by kind, as JSON values, datetimes and bytes, if `owners` does not cover them."""
    files: Callable[[AsyncSession, Person], Awaitable[Sequence[str]]] | None = None
    """Return the names of the user's stored files."""
    refuse: Callable[[AsyncSession, Person], Awaitable[str]] | None = None
    """Return a sentence with the reason why the user cannot leave yet; empty if they can."""
    forget: Callable[[AsyncSession, Person], Awaitable[None]] | None = None
    """Remove data of the user that no cascading foreign key removes with the user's row."""


@strict
@dataclass(frozen=True)
class Accounts:
    """Data and permissions of users."""

    _: KW_ONLY
    personal_data: PersonalData | None = None
    groups: Mapping[str, Mapping[str, str | Sequence[str]]] = field(default_factory=dict)
    """Groups with their permissions, `{"Librarians": {"book": "*", "loan": ["list", "update"]}}`. `migrate` creates
    them; from then on they are edited in the admin."""
    events: Sequence[Annotated[Any, having("an EventKind for each event", "words")]] = ()
    """An `EventKind` for each event that the feature records (oppman.py docs account-events)."""
    profile_panel: Panel | None = None
    """Shown on the user's profile page, below name and address."""
    is_invited: Callable[[AsyncSession, str], Awaitable[bool]] | None = None
    """Return whether a person with this e-mail address may register if REGISTRATION is `invited`."""


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
class Jobs:
    """Jobs of a feature, and old rows that a job deletes."""

    definitions: Sequence[Any] = ()
    """Background and scheduled jobs. A job that is not listed cannot be queued."""
    _: KW_ONLY
    first: Sequence[Annotated[Any, having("calls of jobs, such as summarise()", "arguments")]] = ()
    """Calls of jobs that quickstart queues for a new site."""
    cleanups: Sequence[Cleanup] = ()
    """Old rows that the job `jobs.clean_up` deletes each day (oppman.py docs databases)."""


ModelFunction = Annotated[Any, having("named functions", "__name__", "function")]


@strict
@dataclass(frozen=True)
class Llm:
    """Tools and sources for language models."""

    _: KW_ONLY
    tools: Sequence[ModelFunction] = ()
    """Functions that a language model may call on behalf of the user (oppman.py docs tools)."""
    retrieval: Sequence[ModelFunction] = ()
    """Functions that return `Source`s for a question. They are called before a model that cannot call tools."""
    resources: Mapping[str, ModelFunction] = field(default_factory=dict)
    """Functions that read data for MCP clients, by URI: `{"books://{book_id}": read_book}` (oppman.py docs mcp)."""
    prompts: Sequence[ModelFunction] = ()
    """Functions that write a prompt, which users of MCP clients select."""
    completions: Mapping[str, ModelFunction] = field(default_factory=dict)
    """Functions that suggest values for an argument of its resources and prompts, by its name."""
    tool_headers: Sequence[str] = ()
    """Headers that its dependencies read. The MCP server passes them on to tools."""
    providers: Mapping[str, Callable[[Any, Any], Any]] = field(default_factory=dict)
    """Functions that make providers from the settings and an `LlmModel`, by the dialect of the model. Two are made
    without one: `local`, if the settings name no model, and `media`, for pictures and audio."""
    guard: Callable[[Any, Any], Any] | None = None
    """Return the guard that counts and limits calls of language models, from settings and database. A site has one."""

    @property
    def functions(self) -> list[Any]:
        """All functions that a token may run."""
        return [*self.tools, *self.resources.values(), *self.prompts, *self.completions.values()]


@strict
@dataclass(frozen=True)
class Process:
    """Services and contexts of servers and workers."""

    _: KW_ONLY
    services: Sequence[Service[Any]] = ()
    """Objects that routes find in `app.state` and jobs in their context. They are closed in reverse order."""
    context: Callable[[Services], AbstractAsyncContextManager[None]] | None = None
    """Context that servers and workers enter before they use the database, and exit last."""
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any] | None]] | None = None
    """Context that servers enter after the database is set up, and exit before it is closed. It may yield values for
    `request.state`."""


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
    url: str = ""
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
class Finding:
    """One line of `oppman.py check`: a problem and the next step. A warning may be intended; an error must be fixed."""

    text: str
    """The problem and the next step, in one line."""
    is_error: bool = True
    """Whether `check` fails with it. A warning has False."""

    @classmethod
    def warning(cls, text: str) -> "Finding":
        return cls(text, is_error=False)


Check = Callable[[Any], Iterator[Finding]]
"""Inspects the site's settings."""


@strict
@dataclass(frozen=True)
class Monitoring:
    """Checks before the start, and the state of the running site."""

    _: KW_ONLY
    checks: Sequence[Check] = ()
    """Checks for `oppman.py check`."""
    production_checks: Sequence[Check] = ()
    """Checks for `oppman.py check --deploy`, for a start in production, and for the admin's page Operations."""
    source_checks: Sequence[str] = ()
    """Paths of checks that only `check` runs. They read source files, and are imported then."""
    deploy_checks: Sequence[str] = ()
    """Paths of slow checks that only `check --deploy` runs, except on a known host."""
    host_check: str = ""
    """Path of a check for `check --deploy` on a known host. It replaces the framework's production checks."""
    connection_checks: Sequence[Check] = ()
    """Checks for `check --try`, which connect to servers."""
    report_error: Callable[[Exception, Any], None] | None = None
    """Report an unexpected error that ended a command, with the site's settings."""
    status: Mapping[str, Callable[[FastAPI], Awaitable[Sequence[HealthLight]]]] = field(default_factory=dict)
    """Lines of the status page by their heading. Features may share a heading."""
    gauges: Callable[[AsyncSession], Awaitable[Sequence[Gauge]]] | None = None
    """Reads numbers for `GET /metrics` when they are requested."""
