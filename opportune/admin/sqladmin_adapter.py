"""SQLAdmin under public names. This module alone knows its private ones, so a release that changes them is met here.

What SQLAdmin tells in public is read in public; the private names that are left are what it gives no other way to.
"""

from collections.abc import Callable
from functools import cache, cached_property, lru_cache
from inspect import unwrap
from types import FunctionType
from typing import Any, ClassVar, cast
from urllib.parse import urlencode

from sqladmin import Admin, ModelView
from sqladmin.helpers import get_object_identifier
from sqlalchemy import Select, Table, inspect
from sqlalchemy.orm import Mapper
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.requests import Request

ENDPOINT_MARKS = {"_action", "_exposed"}


@lru_cache(256)
def action_slugs(view: type[Any]) -> frozenset[str]:
    """The names in addresses of the actions of a view's class."""
    methods: list[Any] = [getattr(view, name, None) for name in dir(view)]
    return frozenset(method._slug for method in methods if hasattr(method, "_action"))


class AdapterView(ModelView):
    """A model's pages: what SQLAdmin has made of their options."""

    site: ClassVar[Any]
    """The admin that it is a page of."""

    def __init__(self) -> None:
        super().__init__()
        self.labels: dict[str, str] = self._column_labels
        self.search_names = [property_name(wish) for wish in self.column_searchable_list]
        self.sort_names = [self.name_of(wish) for wish in self.column_sortable_list]

    def configure(self, lookups: dict[str, Any], fields: dict[str, Any]) -> None:
        """Tell SQLAdmin what was chosen: labels, names, what foreign keys point at, and the fields of columns."""
        self._column_labels = self.labels
        self._search_fields, self._sort_fields = self.search_names, self.sort_names
        self._form_ajax_refs = lookups
        self._form_overrides = {**fields, **self._form_overrides}

    @cached_property
    def mapper(self) -> Mapper[Any]:
        return cast("Mapper[Any]", inspect(self.model))

    @property
    def table(self) -> Table:
        return cast("Table", self.mapper.local_table)

    # Names of columns and relationships

    def name_of(self, wish: Any) -> str:
        """The name of what an option gives by name or as `Book.title`. For overriding."""
        return property_name(wish)

    def _get_prop_name(self, prop: Any) -> str:
        return self.name_of(prop)

    @cached_property
    def list_names(self) -> list[str]:
        return self.get_list_columns()

    @cached_property
    def details_names(self) -> list[str]:
        return self.get_details_columns()

    @cached_property
    def form_names(self) -> list[str]:
        return self.get_form_columns()

    @cached_property
    def export_names(self) -> list[str]:
        return self.get_export_columns()

    def choose_names(self, defaults: list[str], include: Any = None, exclude: Any = None) -> list[str]:
        """What the options of one page come to. For overriding."""
        return super()._build_column_list(defaults, include, exclude)

    def _build_column_list(self, defaults: list[str], include: Any = None, exclude: Any = None) -> list[str]:
        return self.choose_names(defaults, include, exclude)

    def has_formatter(self, name: str, *, in_list: bool) -> bool:
        return name in (self._list_formatters if in_list else self._detail_formatters)

    # Queries

    async def fetch_rows(self, statement: Any) -> list[Any]:
        """The rows of a query for one model."""
        async with self.session_maker() as session:
            return list((await session.scalars(statement)).unique())

    async def fetch_tuples(self, statement: Any) -> list[Any]:
        """The rows of a query for columns."""
        async with self.session_maker() as session:
            return list(await session.execute(statement))

    def select_by_identifier(self, identifier: str) -> Select[Any]:
        """The row with the key in an address. For overriding. Raises ValueError: none can have it."""
        return super()._stmt_by_identifier(identifier)

    def _stmt_by_identifier(self, identifier: str) -> Select[Any]:
        return self.select_by_identifier(identifier)

    def default_sort(self) -> list[tuple[str, bool]]:
        """Columns, and whether each is sorted from the last to the first. For overriding."""
        return super()._get_default_sort()

    def _get_default_sort(self) -> list[tuple[str, bool]]:
        return self.default_sort()

    # Actions and addresses

    @property
    def action_labels(self) -> dict[str, str]:
        return {**self._custom_actions_in_list, **self._custom_actions_in_detail}

    def action_question(self, slug: str) -> str:
        """What is asked before it is done; empty if nothing is."""
        return self._custom_actions_confirmation.get(slug, "")

    def visible_actions(self, request: Request, *, in_detail: bool = False) -> dict[str, str]:
        return self._visible_custom_actions(request, in_detail=in_detail)

    def may_delete_any(self, request: Request) -> bool:
        return self._can_delete_any(request)

    def url_of_row(self, page: str, request: Request, row: Any) -> URL:
        return request.url_for(f"admin:{page}", identity=self.identity, pk=get_object_identifier(row))

    def url_of_deletion(self, request: Request, row: Any) -> str:
        address = request.url_for("admin:delete", identity=self.identity)
        return f"{address}?{urlencode({'pks': get_object_identifier(row)})}"

    def url_of_action(self, request: Request, slug: str) -> str:
        return str(request.url_for(f"admin:action-{self.identity}-{slug}"))


def property_name(wish: Any) -> str:
    """The name of a column that is given by name or as `Book.title`."""
    return wish if isinstance(wish, str) else str(wish.key)


class AdapterSite(Admin):
    """The admin: who is let to which page, and how its pages are found."""

    @property
    def menu(self) -> Any:
        return self._menu

    def find_view(self, identity: str) -> ModelView:
        """Raises HTTPException: there is none."""
        return self._find_model_view(identity)

    def plain_names(self, data: dict[str, Any], model: type[Any]) -> dict[str, Any]:
        """A form's data by the names of the model: some names mean something else to WTForms."""
        return cast("dict[str, Any]", self._denormalize_wtform_data(data, model))

    async def check_access(self, request: Request, page: str) -> None:
        """Raises HTTPException: who asks may not `create`, `edit`, `import` or `export` there, or it does not exist."""
        checks = {"create": self._create, "edit": self._edit, "import": self._import, "export": self._export}
        await checks[page](request)

    async def _list(self, request: Request) -> bool:
        if not await super()._list(request):
            raise HTTPException(403)
        return True

    def wrap_action(self, action: Any, view: Any) -> Any:
        """What answers the address of an action. For overriding."""
        return action

    def _handle_action_decorated_func(self, func: Any, view: Any, view_instance: Any) -> None:
        wrapped = self.wrap_action(func, view_instance) if hasattr(func, "_action") else func
        super()._handle_action_decorated_func(wrapped, view, view_instance)

    @staticmethod
    def _find_decorated_funcs(view: Any, view_instance: Any, handle_fn: Callable[[Any, Any, Any], None]) -> None:
        """As SQLAdmin's, which takes long: it looks at every attribute, several hundred in each view."""
        funcs = [getattr(view_instance, name) for name in sorted(_marked(view))]
        for func in sorted(funcs, key=lambda func: unwrap(func).__code__.co_firstlineno, reverse=True):
            handle_fn(func, view, view_instance)


def _marked(view: type[Any]) -> frozenset[str]:
    """Names of the methods that have an address: those with `@action` or `@expose`."""
    own, *bases = view.__mro__  # the first is this site's, and goes with it
    return _marked_in(own).union(*map(_marked_before, bases))


def _marked_in(kind: type[Any]) -> frozenset[str]:
    members = vars(kind).items()
    return frozenset(
        name for name, value in members if isinstance(value, FunctionType) and vars(value).keys() & ENDPOINT_MARKS
    )


_marked_before = cache(_marked_in)


def slug_and_label(action: Any) -> tuple[str, str]:
    """Of a method with `@action`."""
    return action._slug, action._label
