"""Public methods for the private names of SQLAdmin that the admin needs. No other module uses private names.

Options of views also have short names, as in `Crud` and `CrudPages`. SQLAdmin's own names are aliases.

A release of SQLAdmin that changes its names only affects this module.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from inspect import getattr_static, unwrap
from types import FunctionType
from typing import Any, ClassVar, cast

from sqladmin import Admin, ModelView
from sqladmin.models import ModelViewMeta
from sqlalchemy import Table, inspect
from sqlalchemy.orm import Mapper, synonym
from starlette.exceptions import HTTPException
from starlette.requests import Request

from opportune.db.models.columns import key_names_of
from opportune.db.models.labels import label_of_class
from opportune.db.queries.paths import column_of_relation
from opportune.errors import OperatorError
from opportune.i18n import gettext_lazy
from opportune.i18n.translation import DerivedLabel
from opportune.plurals import plural_of

SHORT_NAMES: Mapping[str, str] = {
    "columns": "column_list",
    "fields": "column_details_list",
    "write_fields": "form_columns",
    "search": "column_searchable_list",
    "filters": "column_filters",
    "sort": "column_sortable_list",
    "order": "column_default_sort",
    "plural": "name_plural",
}
"""SQLAdmin's option by its short name."""
ENDPOINT_MARKS = {"_action", "_exposed"}


class ShortName:
    """Option with a short name, whose value is in SQLAdmin's option."""

    def __init__(self, short: str) -> None:
        self.short = short

    def __get__(self, instance: object, owner: type[Any]) -> Any:
        value = getattr(owner if instance is None else instance, SHORT_NAMES[self.short])
        return order_of(value) if self.short == "order" else value


def short_name(short: str) -> Any:
    return ShortName(short)


def add_long_names(view: str, bases: Sequence[type[Any]], attributes: dict[str, Any]) -> None:
    """Give each option both of its names, if the body of a view or a mixin sets it by one of them.

    Raises:
        OperatorError: The body sets an option by both names.
    """
    bodies = [attributes, *(vars(class_) for base in bases for class_ in base.__mro__)]
    for short, long in SHORT_NAMES.items():
        nearest = next(body for body in bodies if short in body or long in body)
        if isinstance(nearest.get(short), ShortName):
            continue
        if nearest is attributes and short in attributes and long in attributes:
            raise OperatorError(f"{view} sets {short} and {long}, which are the same option. Remove {long}.")
        if short not in nearest:
            attributes[short] = ShortName(short)
        elif long not in nearest:
            value = nearest[short]
            attributes[long] = _default_sort_of(view, value) if short == "order" else value


def written_name(view: Any, option: str) -> str:
    """Return the name by which a view or its class sets an option of SQLAdmin."""
    short = next((short for short, long in SHORT_NAMES.items() if long == option), "")
    is_set_by_short_name = short and not isinstance(getattr_static(class_of(view), short, None), ShortName)
    return short if is_set_by_short_name else option


def class_of(view: Any) -> type[Any]:
    """Return the class of a view, or the class itself."""
    return view if isinstance(view, type) else type(view)


def _default_sort_of(view: str, order: Any) -> list[tuple[str, bool]]:
    if not isinstance(order, list | tuple) or not all(isinstance(name, str) for name in order):
        raise OperatorError(f'{view}.order: write a tuple of names, with - for descending: ("-created_at",)')
    return [(name.removeprefix("-"), name.startswith("-")) for name in order]


def order_of(default_sort: Any) -> tuple[str, ...]:
    """Return the names in SQLAdmin's default order, with `-` for descending."""
    columns = default_sort if isinstance(default_sort, list) else [default_sort]
    pairs = [column if isinstance(column, tuple) else (column, False) for column in columns]
    return tuple(f"{'-' if descending else ''}{getattr(name, 'key', name)}" for name, descending in pairs)


def action_slugs(view: type[Any]) -> frozenset[str]:
    """Return the names that a view's actions have in URLs."""
    return frozenset(action._slug for action in _actions(view))


def action_texts(view: type[Any]) -> list[tuple[str, str]]:
    """Return the labels and questions of a view's actions, each with the module of the action."""
    actions = _actions(view)
    texts = [(action.__module__, text) for action in actions for text in (action._label, action._confirmation_message)]
    return [(module, text) for module, text in texts if text]


def _actions(view: Any) -> list[Any]:
    return [method for method in _endpoints(view) if hasattr(method, "_action")]


def _endpoints(view: Any) -> list[Any]:
    """Return the methods of a view or its class with `@action` or `@expose`, in the order of the alphabet."""
    names = {name for class_ in class_of(view).__mro__ for name in _endpoints_in(class_)}
    return [getattr(view, name) for name in sorted(names)]


@lru_cache(256)
def _endpoints_in(class_: type[Any]) -> list[str]:
    members = vars(class_).items()
    return [name for name, value in members if isinstance(value, FunctionType) and ENDPOINT_MARKS & vars(value).keys()]


class AdapterViewMeta(ModelViewMeta):
    """Sets the options with short names, and derives names of a view from its model.

    SQLAdmin would replace an `identity` in the class body, and add an s to each plural: "Categorys".
    """

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any], **options: Any) -> Any:
        add_long_names(name, bases, attributes)
        if "model" in options and not hasattr(options["model"], "__table__"):
            raise OperatorError(f"{name}: {options['model']!r} is no table. Write class {name}(AdminView, model=Book).")
        view: Any = super().__new__(cls, name, bases, attributes, **options)
        if "model" not in options:
            return view
        if "identity" in attributes:
            view.identity = attributes["identity"]
        if "name" not in attributes:
            view.name = label_of_class(view.model)
        if "name_plural" not in attributes:
            view.name_plural = DerivedLabel(plural_of(str.__str__(view.name)))
        return view


class AdapterView(ModelView, metaclass=AdapterViewMeta):
    """A view of a model, with public names for what SQLAdmin derives from its options."""

    site: ClassVar[Any]
    """The admin that contains the view."""
    mapper: Mapper[Any]

    def __init__(self) -> None:
        self.mapper = cast("Mapper[Any]", inspect(self.model))
        self.table = cast("Table", self.mapper.local_table)
        name_keys_after_columns(self.mapper)
        super().__init__()
        self.labels: dict[str, str] = self._column_labels
        self.all_search_names = [property_name(value) for value in self.column_searchable_list]
        self.all_sort_names = [name_in_option(self, value) for value in self.column_sortable_list]

    def _configure(self, lookups: dict[str, Any], fields: dict[str, Any]) -> None:
        """Pass labels, names, lookups of foreign keys and form fields to SQLAdmin."""
        self._column_labels = self.labels
        self._search_fields = self.all_search_names
        self._sort_fields = self.all_sort_names
        self._form_ajax_refs = lookups
        self._form_overrides = {**fields, **self._form_overrides}

    def _get_prop_name(self, prop: Any) -> str:
        return name_in_option(self, prop)

    def _choose_names(self, defaults: list[str], include: Any = None, exclude: Any = None) -> list[str]:
        """Return the column names of one page from its options. For overriding."""
        return super()._build_column_list(defaults, include, exclude)

    def _build_column_list(self, defaults: list[str], include: Any = None, exclude: Any = None) -> list[str]:
        return self._choose_names(defaults, include, exclude)

    def _has_formatter(self, name: str, *, in_list: bool) -> bool:
        return name in (self._list_formatters if in_list else self._detail_formatters)


def name_keys_after_columns(mapper: Mapper[Any]) -> None:
    """Let rows have their keys also under the names of the columns, by which SQLAdmin reads them."""
    for name, column in zip(key_names_of(mapper), mapper.primary_key, strict=True):
        if column.name not in mapper.attrs:
            mapper.add_property(column.name, synonym(name))


def visible_actions(request: Request, view: AdapterView, *, in_detail: bool = False) -> dict[str, str]:
    """Return the labels of the actions that the user may run from the list or from the page of a row, by slug."""
    return _lazy_labels(view._visible_custom_actions(request, in_detail=in_detail))


def action_labels(view: AdapterView) -> dict[str, str]:
    return _lazy_labels({**view._custom_actions_in_list, **view._custom_actions_in_detail})


def action_question(view: AdapterView, slug: str) -> str:
    """Return the question to confirm an action, or an empty text."""
    return gettext_lazy(view._custom_actions_confirmation.get(slug, ""))


def _lazy_labels(labels: Mapping[str, str]) -> dict[str, str]:
    return {slug: gettext_lazy(label) for slug, label in labels.items()}


def name_in_option(view: AdapterView, value: Any) -> str:
    """Return the name in an option. A relationship to one row has the name of its foreign key column."""
    return column_of_relation(view.mapper, property_name(value))


def property_name(value: Any) -> str:
    """Return the name in an option, which may be an attribute such as `Book.title`."""
    return value if isinstance(value, str) else str(value.key)


MenuEntry = tuple[str, str, str, str, bool]
"""Icon, label, URL and identity of an entry of the menu, and whether it is the current page."""


class AdapterSite(Admin):
    """The admin site: access to its pages and lookup of its views."""

    def menu_groups(self, request: Request, current: str = "") -> Iterator[tuple[str, list[MenuEntry]]]:
        """Yield the headings of the menu with the entries that the user may open.

        Templates do not collect them, because their calls take longer. `current` is the identity of an entry.
        """
        here = {request.url.path.rstrip("/"), current, request.path_params.get("identity")}
        for group in self._menu.items:
            entries = [
                (item.icon, item.display_name, url, item.view.identity, bool(here & {url, item.view.identity}))
                for item in cast("list[Any]", group.children or [group])
                if item.is_visible(request) and item.is_accessible(request) and (url := str(item.url(request)))
            ]
            if entries:
                yield group.display_name if group.children else "", entries

    def find_view(self, identity: str) -> ModelView:
        """Return the view of an identity.

        Raises:
            HTTPException: It does not exist.
        """
        return self._find_model_view(identity)

    async def check_access(self, request: Request, page: str) -> None:
        """Raise HTTPException if the user may not open the page `create`, `import` or `export` of a view."""
        checks = {"create": self._create, "import": self._import, "export": self._export}
        await checks[page](request)

    async def _list(self, request: Request) -> bool:
        if not await super()._list(request):
            raise HTTPException(403)
        return True

    def wrap_action(self, action: Any, view: Any) -> Any:
        """Return the endpoint of an action. For overriding."""
        return action

    def _handle_action_decorated_func(self, func: Any, view: Any, view_instance: Any) -> None:
        wrapped = self.wrap_action(func, view_instance) if hasattr(func, "_action") else func
        super()._handle_action_decorated_func(wrapped, view, view_instance)

    @staticmethod
    def _find_decorated_funcs(view: Any, view_instance: Any, handle_fn: Callable[[Any, Any, Any], None]) -> None:
        """Find decorated methods without inspecting all attributes of a view, which takes SQLAdmin 3 ms for each."""
        funcs = _endpoints(view_instance)
        for func in sorted(funcs, key=lambda func: unwrap(func).__code__.co_firstlineno, reverse=True):
            handle_fn(func, view, view_instance)


def slug_and_label(action: Any) -> tuple[str, str]:
    return action._slug, gettext_lazy(action._label)
