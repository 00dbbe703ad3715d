"""What a feature tells the rest of the site about itself."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from opportune.errors import OperatorError
from opportune.runtime.services import Service

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlmodel import SQLModel
    from starlette.requests import Request

    from opportune.checks import Check
    from opportune.config.settings import BaseSettings, Settings
    from opportune.db.database import Database
    from opportune.db.hooks import Hook
    from opportune.jobs import JobCall, JobDefinition
    from opportune.llm.guard import Guard


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


@dataclass(frozen=True)
class Panel:
    """A part that a feature adds to a page of another feature, such as the profile page."""

    template: str
    """A file below `templates/`, rendered with the context. Blank output is left out."""
    context: "Callable[[AsyncSession, Any], Awaitable[Mapping[str, Any]]]"
    """Return the template variables for the user who sees the page; for anonymous visitors the user is None."""


@dataclass(frozen=True)
class AdminPanel:
    """A part of an admin page, rendered for superusers."""

    page: Literal["dashboard", "operations"]
    template: str
    """A file below `templates/`. It sees the variables of the page, and `panel` with its own context."""
    context: "Callable[[Request], Awaitable[Mapping[str, Any] | None]] | None" = None
    """Read the context; None leaves the panel out."""
    position: Literal["top", "bottom", "buttons"] = "top"
    """On the page Operations: above or below the admin's cards, or beside its buttons. The dashboard has only a top."""


@dataclass(frozen=True)
class HealthLight:
    """A line of the status page: the condition of one part of the site."""

    part: str
    words: str
    state: Literal["ok", "notice", "fault"] = "ok"
    address: str = ""
    """Page where a superuser can act on it."""
    hint: str = ""
    """Advice for a state that is not ok."""


@dataclass(frozen=True)
class UserColumn:
    """A line on the admin's page of a user, for those who may list the rows that it tells of."""

    label: str
    owner: Any
    """The column that points at the user, such as `Book.owner_id`."""
    value: Any = None
    """What to tell of a user's rows, such as `func.max(Book.created_at)`; None stands for their number."""


@dataclass(frozen=True)
class Demo:
    """Believable data to look at, which can be removed without touching anything else."""

    load: "Callable[[AsyncSession], Awaitable[int]]"
    """Adds the rows that are missing and says how many were added."""
    clear: "Callable[[AsyncSession], Awaitable[int]]"
    """Removes exactly the rows that `load` adds and says how many were removed."""


@dataclass(frozen=True)
class Person:
    """Who asks for their data, or leaves."""

    id: int
    """Of their user."""
    email: str
    """Empty while nothing shows that the address is theirs."""


@dataclass(frozen=True, kw_only=True)
class PersonalData:
    """What a feature keeps of one person: they may take it along, and it goes when they leave."""

    summary: str
    """What people call it, such as "Your to-dos"."""
    owners: Sequence[Any] = ()
    """The columns that say whose a row is, such as `Review.user_id`: the rows are read by them."""
    read: "Callable[[AsyncSession, Person], Awaitable[Mapping[str, Sequence[Mapping[str, Any]]]]] | None" = None
    """Reads their rows by kind, with values that JSON knows and moments, where `owners` do not say it all."""
    files: "Callable[[AsyncSession, Person], Awaitable[Sequence[str]]] | None" = None
    """The names of their stored files."""
    refuse: "Callable[[AsyncSession, Person], Awaitable[str]] | None" = None
    """Says in a sentence why they cannot leave yet; empty where they can."""
    forget: "Callable[[AsyncSession, Person], Awaitable[None]] | None" = None
    """Removes what is not removed with the row of their user by a foreign key that cascades."""


@dataclass(frozen=True)
class Metric:
    """What the admin's dashboard counts by day, for those who may list it."""

    label: str
    at: Any
    """The column with the time of each row, such as `Message.created_at`."""

    def __post_init__(self) -> None:
        from sqlalchemy import DateTime  # noqa: PLC0415 - this module is read where nothing is installed yet

        from opportune.db.columns import type_of  # noqa: PLC0415 - likewise

        if not (hasattr(self.at, "type") and isinstance(type_of(self.at), DateTime)):
            raise OperatorError(f"Metric({self.label!r}, …) wants a column of times, such as Message.created_at.")


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One entry of `app/installed.py`."""

    name: str
    """Also the name of its folders and the prefix of its tables."""
    summary: str
    """One sentence for the landing page."""
    settings: "type[BaseSettings] | None" = None
    """Its own, read with the site's: `settings.of(BooksSettings)`."""
    models: "Sequence[type[SQLModel]]" = ()
    adopts_tables: bool = False
    """Whether its models' tables were there before it, so that their names may begin with anything."""
    database: Literal["", "postgresql"] = ""
    """Kind of database that its tables need; empty for either. Tests on the other kind are left out."""
    pages: "APIRouter | Sequence[APIRouter] | None" = None
    api: "APIRouter | Sequence[APIRouter] | None" = None
    """Mounted below /api/v1."""
    admin: Sequence[Any] | str = ()
    """The module of its SQLAdmin views, `"app.books.admin"`: imported when somebody asks for the admin. Or views."""
    metrics: Sequence[Metric] = ()
    navigation: Sequence[Link] = ()
    navigation_template: str = ""
    """A file below `templates/` that every page shows in its navigation."""
    profile_panel: Panel | None = None
    """Shown on the user's profile page, below name and address."""
    home_card: Panel | None = None
    """Shown on the landing page, also to anonymous visitors."""
    user_columns: Sequence[UserColumn] = ()
    is_invited: "Callable[[AsyncSession, str], Awaitable[bool]] | None" = None
    """Return whether an address may register although REGISTRATION=invited."""
    demo: Demo | None = None
    sample_rows: "Mapping[type[SQLModel], Mapping[str, Any]]" = field(default_factory=dict)
    """Values of the rows that `opportune.testing.access` makes, for models that refuse the derived ones."""
    personal_data: PersonalData | None = None
    jobs: "Sequence[JobDefinition[Any]]" = ()
    """Work for later and by schedule; one that is not listed here cannot be queued."""
    first_jobs: "Sequence[JobCall[Any]]" = ()
    """What quickstart queues when it sets up a site: done beside the first visitors."""
    hooks: "Sequence[Hook[Any]]" = ()
    """Functions of its `hooks.py` that run when rows are created, changed or deleted (docs/hooks.md)."""
    tools: Sequence[Any] = ()
    """Functions that a language model may have called, as the person who asks it (docs/tools.md)."""
    llm_guard: "Callable[[Settings, Database], Guard] | None" = None
    """Makes what counts and limits the calls of language models; one feature of a site has it."""
    tool_headers: Sequence[str] = ()
    """Headers that its dependencies read of a program's request: tools that the program calls have them too."""
    retrieval: Sequence[Any] = ()
    """Functions like tools that take a question and return `Source`s: asked first where a model calls no tools."""
    operations: "Mapping[str, JobCall[Any]]" = field(default_factory=dict)
    """Buttons of the admin's page Operations: what they say, and the job that they queue."""
    admin_operations: "Mapping[str, Callable[[AsyncSession, Request], Awaitable[str]]]" = field(default_factory=dict)
    """Actions of forms on the page Operations, `{"switch-off": switch_off}`, posted to `/admin/operations/do/NAME`.
    Each changes rows in one transaction with its log entry, and returns a sentence about the result."""
    admin_panels: Sequence[AdminPanel] = ()
    status: "Mapping[str, Callable[[FastAPI], Awaitable[Sequence[HealthLight]]]]" = field(default_factory=dict)
    """Lines of the status page by their heading. Features may share a heading."""
    groups: "Mapping[str, Mapping[str, str | Sequence[str]]]" = field(default_factory=dict)
    """What the members of groups may do with rows, `{"Librarians": {"book": "*", "loan": ["list", "edit"]}}`: made by
    `migrate`, and the owner's to change in the admin from then on."""
    services: Sequence[Service[Any]] = ()
    """Objects that routes find in `app.state` and jobs in their context: made with the site, closed in reverse."""
    checks: "Sequence[Check]" = ()
    """What `oppman.py check` looks at besides, by the site's settings."""
    lifespan: "Callable[[FastAPI], AbstractAsyncContextManager[None]] | None" = None
    """Entered after the database is set up and left before it is disposed of."""

    def __post_init__(self) -> None:
        for each in self.jobs:
            if not hasattr(each, "name"):
                word = getattr(each, "__name__", str(each))
                raise OperatorError(
                    f"Feature({self.name!r}, jobs=…) lists {word}, which is no job: "
                    f'write @job("{self.name}.{word}") above it.'
                )
        if self.hooks:
            from opportune.db.hooks import require_hooks  # noqa: PLC0415 - `removeapp` and others read features alone

            require_hooks(self.name, self.hooks)
