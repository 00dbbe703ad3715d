"""Extension point of the admin: what a feature adds to the pages of every model.

Dashboard, saved views, row versions, import and export are extensions.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

from sqlalchemy import ColumnElement
from starlette.requests import Request
from starlette.responses import Response

from opportune.errors import OperatorError
from opportune.feature import Feature
from opportune.project.modules import import_existing

Slot = Literal["list_buttons", "list_bar", "list_tools", "history"]
"""Places for templates: beside the title of a list, above its search, beside its columns, above a row's history."""


class ModelPage(NamedTuple):
    """A page below each model, `/admin/book/PATH`."""

    path: str
    endpoint: Callable[[Request, Any], Awaitable[Response]]
    """Function of the request and the model's view."""
    methods: Sequence[str]
    name: str
    """Name of the route: `url_for("admin:NAME", identity=view.identity)`."""
    requires_list: bool = True
    """Whether the page is only for users who may list the model."""
    may_open: Callable[[Request, Any], bool] | None = None
    """Function that also decides whether the user may open the page. Without it and without `requires_list`, the page
    checks permissions itself."""


class MenuLink(NamedTuple):
    """A link below an entry of the menu."""

    label: str
    url: str
    is_current: bool = False


class AdminExtension:
    """Base class of extensions. Name yours in the feature: `Admin(extension="app.books.extension.BookTools")`.

    The site creates one instance when it builds the admin, with all views. Override what you need.
    """

    pages: ClassVar[Sequence[ModelPage]] = ()
    slots: ClassVar[Mapping[Slot, str]] = {}
    """Templates by their place. They see the variables of the page and `extension`, this object."""
    list_parameters: ClassVar[Collection[str]] = ()
    """Query parameters of lists that keep all rows."""

    def __init__(self, site: Any) -> None:
        """Raise OperatorError for mistakes in the options of features."""
        self.site = site

    async def overview(self, request: Request) -> Response | None:
        """Return the first page of the admin instead of the list of models."""
        return None

    async def open_list(self, request: Request, view: Any) -> Response | None:
        """Return a response instead of a list without parameters, such as a redirect."""
        return None

    async def plain_list_url(self, request: Request, view: Any) -> str:
        """Return the URL of the whole list, if `open_list` responds at the usual one."""
        return ""

    async def menu_links(self, request: Request) -> Mapping[str, Sequence[MenuLink]]:
        """Return links for the menu, by the identity of the entry above them."""
        return {}

    def row_links(self, request: Request, view: Any, row: Any) -> Sequence[tuple[str, str]]:
        """Return labels and URLs of buttons on the pages of a row."""
        return ()

    async def log_condition(self, request: Request, view: Any, row: Any) -> ColumnElement[bool] | None:
        """Return a condition for the log entries that the history of a row shows."""
        return None

    async def rows_changed(self, request: Request, identities: Collection[str]) -> None:
        """Run before the response to a request that has changed rows of these models."""


E = TypeVar("E", bound=AdminExtension)


class Extensions(tuple[AdminExtension, ...]):
    @cached_property
    def list_parameters(self) -> frozenset[str]:
        return frozenset(chain.from_iterable(extension.list_parameters for extension in self))

    def of_type(self, type_: type[E]) -> E:
        return next(extension for extension in self if isinstance(extension, type_))

    def slot(self, name: Slot) -> Iterator[tuple[AdminExtension, str]]:
        """Yield each extension that has a template for this place, with the template."""
        yield from ((extension, extension.slots[name]) for extension in self if name in extension.slots)

    async def menu_links(self, request: Request) -> Mapping[str, Sequence[MenuLink]]:
        links: dict[str, list[MenuLink]] = {}
        for extension in self:
            for identity, more in (await extension.menu_links(request)).items():
                links.setdefault(identity, []).extend(more)
        return links

    async def plain_list_url(self, request: Request, view: Any) -> str:
        urls = [await extension.plain_list_url(request, view) for extension in self]
        return next(filter(None, urls), request.url.path)

    def row_links(self, request: Request, view: Any, row: Any) -> list[tuple[str, str]]:
        """Return the buttons of the view and of extensions on the pages of a row."""
        more = (extension.row_links(request, view, row) for extension in self)
        return [*view.links(request, row), *chain.from_iterable(more)]

    async def rows_changed(self, request: Request, identities: Collection[str]) -> None:
        for extension in self:
            await extension.rows_changed(request, identities)


def extension_classes(features: Sequence[Feature]) -> Iterator[type[AdminExtension]]:
    """Yield the extensions of features.

    Raises:
        OperatorError: A class does not exist.
    """
    for feature in features:
        if path := feature.admin.extension:
            extension = _load(path)
            if not (isinstance(extension, type) and issubclass(extension, AdminExtension)):
                raise OperatorError(
                    f"Feature({feature.name!r}, admin=Admin(extension={path!r})): "
                    "this is not the path of an AdminExtension, such as app.books.extension.BookTools."
                )
            yield extension


def _load(path: str) -> object:
    module, _, name = path.rpartition(".")
    return getattr(import_existing(module), name, None) if module else None
