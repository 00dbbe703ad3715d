"""Pages of a site: navigation, search, templates, middleware and error handlers of a feature."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI
from pydantic import StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from opportune.errors.option_names import strict


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
    template_filters: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    middleware: Sequence[Middleware] | Callable[[FastAPI], Iterable[Middleware]] = ()
    """Outermost first, or a function that selects them by `app.state.settings`. The first feature's are outermost."""
    init_app: Callable[[FastAPI], None] | None = None
    """Change the application before its routes are added. Use it if no other field fits."""
    is_outermost: bool = False
    """Whether its middleware and contexts surround those of all other features, because it observes them."""
