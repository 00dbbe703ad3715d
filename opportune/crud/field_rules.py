"""Check the names that `hidden_fields` and `readonly_fields` return, and add fields that hold the same values."""

from collections.abc import Collection, Iterator
from inspect import getattr_static, iscoroutinefunction, isfunction
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column
from sqlalchemy.sql.visitors import iterate

from opportune.crud.declaration import Declaration
from opportune.crud.schemas import short_texts
from opportune.db.models.columns import name_method, natural_key_of, own_classes

if TYPE_CHECKING:
    from opportune.crud.definition import Definition

HIDDEN, READONLY = "hidden_fields", "readonly_fields"
NO_FIELDS: frozenset[str] = frozenset()


class FieldRules:
    """The fields of one class that can be hidden or locked. Each set of names is checked once."""

    def __init__(self, definition: "Definition", *, hides: bool, locks: bool) -> None:
        self.definition = definition
        self.hides = hides
        """Whether the class has a `hidden_fields` of its own."""
        self.locks = hides or locks
        """Whether some users may not write all fields: what is hidden is locked, too."""
        self._checked: dict[tuple[str, frozenset[str]], frozenset[str]] = {}
        for option in (HIDDEN, READONLY):
            method = getattr(definition.kind, option)
            if not isfunction(method) or iscoroutinefunction(method):
                raise self._declared.fault(option, f"write a method without async: def {option}(self) -> set[str].")

    def check(self, option: str, names: Collection[str]) -> frozenset[str]:
        """Return the names with those of the same values: `author` with `author_id`, and computed values.

        Raises:
            OperatorError: a name is no field, or is needed by everyone who sees a row.
        """
        if isinstance(names, str) or not isinstance(names, Collection):
            raise self._declared.fault(option, f"it returns {names!r}. Return a set of names.")
        key = option, frozenset(names)
        if key not in self._checked:
            self._checked[key] = self._complete(option, key[1])
        return self._checked[key]

    @property
    def _declared(self) -> Declaration:
        definition = self.definition
        return Declaration(definition.kind.__name__, definition.shape, definition.annotations)

    def _complete(self, option: str, names: frozenset[str]) -> frozenset[str]:
        shape = self.definition.shape
        for name in sorted(names):
            self._declared.one_of(option, name, self._fields(option))
        pairs = [{relation, shape.column_of(relation)} for relation in shape.to_one]
        complete = names.union(*(pair for pair in pairs if pair & names))
        if option == READONLY:
            return complete
        for name in sorted(complete & {"id", self.definition.kind.lookup}):
            raise self._declared.fault(option, f"{name!r} names the row in addresses. Leave it out.")
        for name in sorted(complete & self._naming):
            words = f"{name!r} is in the rows' names (__str__) or their natural key. Change these, or leave it out."
            raise self._declared.fault(option, words)
        return complete | self._computed_from(complete) | self._properties_from(complete)

    def _fields(self, option: str) -> set[str]:
        kind, shape = self.definition.kind, self.definition.shape
        schemas = [kind.create_schema, kind.update_schema]
        names = {*shape.columns, *shape.to_one, *shape.links}
        if option == HIDDEN:
            names |= {*self.definition.annotations, *self.definition.own_filters, *_properties(kind.model)}
            schemas.append(kind.read_schema)
        return names.union(*({*each.model_fields, *each.model_computed_fields} for each in schemas if each))

    @property
    def _naming(self) -> set[str]:
        """The fields in a row's name, which everyone sees who sees the row or one that points at it."""
        model, shape = self.definition.kind.model, self.definition.shape
        method = name_method(model)
        names = _names_in(model, method) if method else short_texts(shape)[:1]
        return {*names, natural_key_of(model)}

    def _computed_from(self, names: frozenset[str]) -> frozenset[str]:
        columns = [column for name, column in self.definition.shape.columns.items() if name in names]
        values = self.definition.annotations.items()
        return frozenset(name for name, value in values if any(_is_one_of(part, columns) for part in iterate(value)))

    def _properties_from(self, names: frozenset[str]) -> frozenset[str]:
        model = self.definition.kind.model
        found = _properties(model).items()
        return frozenset(name for name, each in found if not names.isdisjoint(_names_in(model, each.fget)))


def _properties(model: type[Any]) -> dict[str, property]:
    members = (member for each in own_classes(model) for member in vars(each).items())
    return {name: value for name, value in members if isinstance(value, property)}


def _names_in(model: type[Any], function: Any, depth: int = 3) -> Iterator[str]:
    """Attributes that a method may read, also by the properties and methods that it calls."""
    for name in function.__code__.co_names if isfunction(function) and depth else ():
        yield name
        called = getattr_static(model, name, None)
        yield from _names_in(model, called.fget if isinstance(called, property) else called, depth - 1)


def _is_one_of(part: Any, columns: Collection[Column[Any]]) -> bool:
    return isinstance(part, Column) and any(part.shares_lineage(column) for column in columns)
