"""Fields that a user may not see or write: the names that `hidden_fields` and `readonly_fields` return."""

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from inspect import getattr_static, iscoroutinefunction, isfunction, unwrap
from types import CodeType
from typing import Any

from sqlalchemy import Column
from sqlalchemy.sql.visitors import iterate

from opportune.crud.declaration import Declaration
from opportune.crud.options import CrudOptions
from opportune.crud.schemas import title_candidates
from opportune.db.models.columns import declaring_classes, name_method, natural_key_of

HIDDEN, READONLY = "hidden_fields", "readonly_fields"
NO_FIELDS: frozenset[str] = frozenset()


class FieldRules:
    """Checks the names of hidden and locked fields. Each set of names is checked once."""

    def __init__(
        self,
        crud_class: type[CrudOptions],
        declaration: Declaration,
        annotations: Mapping[str, Any],
        filter_methods: Collection[str],
        overridden: Collection[str],
    ) -> None:
        self.crud_class, self.annotations, self.filter_methods = crud_class, annotations, filter_methods
        self._declaration, self.shape = declaration, declaration.shape
        self.hides = HIDDEN in overridden
        """Whether the class overrides `hidden_fields`."""
        self.locks = self.hides or READONLY in overridden
        """Whether some users may not write all fields. Hidden fields are also locked."""
        self._checked: dict[tuple[str, frozenset[str]], frozenset[str]] = {}
        for option in (HIDDEN, READONLY):
            method = getattr(crud_class, option)
            if not isfunction(method) or iscoroutinefunction(method):
                raise declaration.error(option, f"it must be a method without async: def {option}(self) -> set[str].")

    def check(self, option: str, names: Collection[str]) -> frozenset[str]:
        """Return the names and other fields that reveal their values: `author_id` for `author`, and computed values.

        Raises:
            OperatorError: A name is not a field, or users need the field to identify rows.
        """
        if isinstance(names, str) or not isinstance(names, Collection):
            raise self._declaration.error(option, f"it returned {names!r}. Return a set of names.")
        key = option, frozenset(names)
        if key not in self._checked:
            self._checked[key] = self._add_revealing_fields(option, key[1])
        return self._checked[key]

    def _add_revealing_fields(self, option: str, names: frozenset[str]) -> frozenset[str]:
        shape = self.shape
        for name in sorted(names):
            self._declaration.require_one_of(option, name, self._fields(option))
        pairs = [{relation, shape.column_of(relation)} for relation in shape.to_one]
        complete = names.union(*(pair for pair in pairs if pair & names))
        if option == READONLY:
            return complete
        for name in sorted(complete & {"id", self.crud_class.lookup}):
            raise self._declaration.error(option, f"{name!r} identifies the row in addresses. Leave it out.")
        for name in sorted(complete & self._title_fields):
            message = (
                f"{name!r} is part of the rows' titles (__str__) or their natural key. Change these, or leave it out."
            )
            raise self._declaration.error(option, message)
        return complete | self._find_dependent_annotations(complete) | self._find_dependent_properties(complete)

    def _fields(self, option: str) -> set[str]:
        crud_class, shape = self.crud_class, self.shape
        schemas = [crud_class.create_schema, crud_class.update_schema]
        names = {*shape.columns, *shape.to_one, *shape.links}
        if option == HIDDEN:
            names |= {*self.annotations, *self.filter_methods, *_properties(crud_class.model)}
            schemas.append(crud_class.read_schema)
        return names.union(*({*schema.model_fields, *schema.model_computed_fields} for schema in schemas if schema))

    @property
    def _title_fields(self) -> set[str]:
        """The fields in a row's title, which other rows that refer to it also show."""
        model, shape = self.crud_class.model, self.shape
        method = name_method(model)
        names = _find_attributes(model, method) if method else title_candidates(shape)[:1]
        return {*names, natural_key_of(model)}

    def _find_dependent_annotations(self, names: frozenset[str]) -> frozenset[str]:
        columns = [column for name, column in self.shape.columns.items() if name in names]
        values = self.annotations.items()
        return frozenset(name for name, value in values if any(_is_one_of(part, columns) for part in iterate(value)))

    def _find_dependent_properties(self, names: frozenset[str]) -> frozenset[str]:
        model = self.crud_class.model
        properties = _properties(model).items()
        return frozenset(name for name, property_ in properties if names & {*_find_attributes(model, property_.fget)})


def _properties(model: type[Any]) -> dict[str, property]:
    members = (member for class_ in declaring_classes(model) for member in vars(class_).items())
    return {name: value for name, value in members if isinstance(value, property)}


def _find_attributes(model: type[Any], function: Any, depth: int = 3) -> Iterator[str]:
    """Yield the attributes that a method may read, including those in properties and methods that it uses."""
    function = unwrap(function)
    if not isfunction(function) or not depth:
        return
    for name in _names_in(function.__code__):
        yield name
        yield from _find_attributes(model, _function_of(getattr_static(model, name, None)), depth - 1)


def _names_in(code: CodeType) -> Iterator[str]:
    """Yield the names in a function and its inner functions, and its strings, such as that of `getattr(self, "x")`."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):  # of a comprehension, generator or lambda
            yield from _names_in(constant)
        elif isinstance(constant, str):
            yield constant


def _function_of(member: Any) -> Any:
    if isinstance(member, property):
        return member.fget
    if isinstance(member, cached_property):
        return member.func
    return getattr(member, "__func__", member)  # of a class method or static method


def _is_one_of(part: Any, columns: Collection[Column[Any]]) -> bool:
    return isinstance(part, Column) and any(part.shares_lineage(column) for column in columns)
