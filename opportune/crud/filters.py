"""Filters of lists, by the type of a column or by a method of the project."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, iscoroutinefunction, signature
from typing import Annotated, Any, TypeVar

from pydantic import Field
from sqlalchemy import ColumnElement, and_, inspect, select

from opportune.crud.declaration import Declaration, Shape, secret_name_message
from opportune.crud.operators import CONTAINS, EQUAL, IN, IS_EMPTY, ORDER, Operator
from opportune.crud.query_schema import MAX_FILTER_VALUES, RESERVED, TRASH_PARAMETER
from opportune.crud.types import COMPARABLE_TYPES, StorableText, comparable_type, is_ordered
from opportune.db.models.labels import label_of
from opportune.db.models.references import Reference
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.queries.paths import Visible, is_among, is_linked
from opportune.i18n import format_lazy, gettext_lazy, lower_name
from opportune.schemas.annotations import FieldOptions, options_of

F = TypeVar("F", bound=Callable[..., ColumnElement[bool]])
FILTER_ATTRIBUTE = "__opportune_filter__"
POSITIONAL = {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}


def filter_by(method: F) -> F:
    """Decorator that makes a method of a `Crud` class a filter of its list.

    The method returns a condition. It has one parameter, whose type validates the query parameter. If it raises
    `ValueError`, the message is shown beside the filter.

        @filter_by
        def year(self, year: int) -> ColumnElement[bool]:  # ?year=2026
            return extract("year", col(Book.published_on)) == year
    """
    setattr(method, FILTER_ATTRIBUTE, True)
    return method


def filter_methods_of(class_: type[Any]) -> dict[str, Callable[..., ColumnElement[bool]]]:
    """Return the methods of a class that are filters, by name."""
    names = [name for name in dir(class_) if hasattr(getattr(class_, name, None), FILTER_ATTRIBUTE)]
    return {name: getattr(class_, name) for name in names}


@dataclass(frozen=True)
class Filter:
    """A query parameter of a list."""

    name: str
    """The column or relationship that `filters` names."""
    label: str
    type_: Any
    condition: Callable[[Visible, Any], ColumnElement[bool]]
    takes_many: bool = False

    @property
    def as_pydantic_field(self) -> tuple[Any, Any]:
        if self.takes_many:
            return list[self.type_], Field(default_factory=list, max_length=MAX_FILTER_VALUES, title=self.label)  # type: ignore[name-defined]  # derived at run time
        return self.type_ | None, Field(None, title=self.label)


def derive_filters(declaration: Declaration, names: Sequence[str]) -> dict[str, Filter]:
    """Return the filters for these columns and relationships, by query parameter.

    Raises:
        OperatorError: A column or relationship does not exist or cannot be a filter.
    """
    filters: dict[str, Filter] = {}
    for name in names:
        if name in _reserved_names(declaration):
            raise declaration.error("filters", f"{name!r} is a parameter of every list. Leave it out.")
        filters |= _derive_filters_of(declaration, name)
    return filters


def _reserved_names(declaration: Declaration) -> set[str]:
    """Return the query parameters that lists of the model have in any case."""
    return RESERVED | ({TRASH_PARAMETER} if issubclass(declaration.shape.model, SoftDelete) else set())


def _derive_filters_of(declaration: Declaration, name: str) -> dict[str, Filter]:
    shape = declaration.shape
    if name in shape.links:
        return _link_filters(shape, name)
    if name not in shape.to_one and (message := secret_name_message(name)):
        raise declaration.error("filters", message)
    declaration.require_one_of("filters", name, [*shape.columns, *shape.to_one, *shape.links])
    column = shape.column_of(name) if name in shape.to_one else name
    target = shape.references.get(column)  # a reference has the type of an id
    type_ = (
        Annotated[int, Reference(target)] if target else comparable_type(shape.model.model_fields[column].annotation)
    )
    if type_ is None:
        message = f"{name!r} has values that cannot be compared. Write a filter with @filter_by."
        raise declaration.error("filters", message)
    return _column_filters(shape, column, name, type_)


def _column_filters(shape: Shape, column: str, name: str, type_: Any) -> dict[str, Filter]:
    """Return the filters of a column with values of a type, by query parameter."""
    field = shape.model.model_fields[column]
    target = shape.references.get(column)
    operators = [EQUAL] if type_ is bool else [EQUAL, IN]
    if not target and is_ordered(field.annotation):
        operators += ORDER
    elif type_ is StorableText:
        operators.append(CONTAINS)
    if unit := options_of(field).suffix:
        type_ = Annotated[type_, FieldOptions(suffix=unit)]
    label = gettext_lazy(field.title or label_of(name, is_reference=target is not None))
    attribute = getattr(shape.model, column)
    filters = {name + op.suffix: _make_filter(op, name, label, type_, attribute, target) for op in operators}
    if shape.columns[column].nullable:
        filters[name + IS_EMPTY.suffix] = _make_filter(IS_EMPTY, name, label, bool, attribute, None)
    return filters


def _make_filter(op: Operator, name: str, label: str, type_: Any, attribute: Any, target: type[Any] | None) -> Filter:
    def condition(visible: Visible, value: Any) -> ColumnElement[bool]:
        matches = op.compare(attribute, value)
        return matches & is_among(visible, attribute, target) if target else matches

    if op.label:
        label = format_lazy(op.label, label=label)
    return Filter(name, label, type_, condition, op.takes_many)


@dataclass(frozen=True)
class _LowerName:
    label: str

    def __str__(self) -> str:
        return lower_name(self.label)


def _link_filters(shape: Shape, name: str) -> dict[str, Filter]:
    relation = shape.mapper.relationships[name]
    target = shape.links[name]
    type_ = Annotated[int, Reference(target)]
    label = label_of(name)
    key = inspect(target).primary_key[0]

    def any_of(visible: Visible, values: Sequence[int]) -> ColumnElement[bool]:
        return is_linked(relation, select(key).where(key.in_(values), visible(target)).correlate(None))

    def all_of(visible: Visible, values: Sequence[int]) -> ColumnElement[bool]:
        return and_(*(any_of(visible, [value]) for value in values))

    label_of_all = format_lazy("All of %(label)s", label=_LowerName(label))
    return {
        name: Filter(name, label, type_, any_of, takes_many=True),
        f"{name}__all": Filter(name, label_of_all, type_, all_of, takes_many=True),
    }


def filter_aliases(shape: Shape, filters: Mapping[str, Filter], names: Collection[str]) -> dict[str, str]:
    """Return the parameters of references by their other name: `category_id__in` for the filter `category__in`."""
    other_names = {relation: shape.column_of(relation) for relation in shape.to_one}
    other_names |= {column: relation for relation, column in other_names.items()}
    aliases: dict[str, str] = {}
    for name, filter_ in filters.items():
        alias = other_names.get(filter_.name, "") + name.removeprefix(filter_.name)
        if filter_.name in other_names and alias not in names:
            aliases[alias] = name
    return aliases


def method_field(declaration: Declaration, name: str, method: Callable[..., Any]) -> tuple[Any, Any]:
    """Return the type and the field of a filter method.

    Raises:
        OperatorError: The method is async, or does not have exactly one positional parameter with a type.
    """
    parameters = list(signature(method, eval_str=True).parameters.values())[1:]
    has_one = len(parameters) == 1 and parameters[0].kind in POSITIONAL
    if not has_one or parameters[0].annotation is Parameter.empty:
        raise declaration.error(name, "a filter takes self and one parameter with its type, such as year: int.")
    if iscoroutinefunction(method):
        raise declaration.error(name, "a filter returns a condition and reads no rows. Write def instead of async def.")
    if name in _reserved_names(declaration):
        raise declaration.error(name, f"{name!r} is a parameter of every list. Give the filter another name.")
    (parameter,) = parameters
    type_ = parameter.annotation
    for general, storable in COMPARABLE_TYPES.items():
        if type_ in (general, general | None):
            type_ = storable if type_ is general else storable | None
    if parameter.default is Parameter.empty:
        return type_ | None, Field(None)
    return type_, Field(parameter.default)
