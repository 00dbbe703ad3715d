"""Fields that a user may not see or write: the names that `hidden_fields` and `readonly_fields` return.

Properties that read a hidden field are also hidden. Their code tells it without running: names of attributes, also of
other properties and methods of the model, but not of functions in other places or names that the code puts together.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from inspect import getattr_static, iscoroutinefunction, isfunction, unwrap
from types import CodeType
from typing import Any

from sqlalchemy import Column
from sqlalchemy.ext.associationproxy import AssociationProxy
from sqlalchemy.ext.hybrid import hybrid_method, hybrid_property
from sqlalchemy.sql.visitors import iterate

from opportune.crud.declaration import Declaration
from opportune.crud.options import CrudOptions
from opportune.crud.schema_fields import title_candidates
from opportune.db.models.columns import natural_key_of
from opportune.db.models.labels import declaring_classes, name_method

HIDDEN = "hidden_fields"
READONLY = "readonly_fields"
NO_FIELDS: frozenset[str] = frozenset()
PROPERTY_TYPES = (property, cached_property, hybrid_property, AssociationProxy)
NAME_IN_TEXT = re.compile(r"^\w+(?=$|\.)|(?<=[.{(\[])\w+")
"""A name in a text that reads attributes, such as `price`, `author.price`, `{0.price}` or `%(price)s`."""


class FieldRules:
    """Adds the fields that reveal the values of hidden ones, and refuses names that cannot be hidden.

    Each set of names is completed once for all users.
    """

    def __init__(
        self,
        crud_class: type[CrudOptions],
        declaration: Declaration,
        annotations: Mapping[str, Any],
        filter_methods: Collection[str],
        overridden: Collection[str],
    ) -> None:
        self.crud_class = crud_class
        self.annotations = annotations
        self.filter_methods = filter_methods
        self._declaration = declaration
        self.shape = declaration.shape
        self.hides = HIDDEN in overridden
        """Whether the class overrides `hidden_fields`."""
        self.locks = self.hides or READONLY in overridden
        """Whether some users may not write all fields. Hidden fields are also locked."""
        self._completed: dict[tuple[str, frozenset[str]], frozenset[str]] = {}
        for option in (HIDDEN, READONLY):
            method = getattr(crud_class, option)
            if not isfunction(method) or iscoroutinefunction(method):
                raise declaration.error(option, f"it must be a method without async: def {option}(self) -> set[str].")

    def complete(self, option: str, names: Collection[str]) -> frozenset[str]:
        """Return the names and other fields that reveal their values: `author_id` for `author`, and computed values.

        Args:
            option: `HIDDEN` or `READONLY`, the method of the class that returned the names.
            names: Names of fields.

        Raises:
            OperatorError: A name is not a field, or users need the field to identify rows.
        """
        if isinstance(names, str) or not isinstance(names, Collection):
            raise self._declaration.error(option, f"it returned {names!r}. Return a set of names.")
        key = (option, frozenset(names))
        if key not in self._completed:
            self._completed[key] = self._complete(*key)
        return self._completed[key]

    def _complete(self, option: str, names: frozenset[str]) -> frozenset[str]:
        self._require_fields(option, names)
        # Add the column of each relationship, and the relationship of each foreign key.
        pairs = [{relation, self.shape.column_of(relation)} for relation in self.shape.to_one]
        complete = names.union(*(pair for pair in pairs if pair & names))
        return self._with_computed_values(complete) if option == HIDDEN else complete

    def _require_fields(self, option: str, names: frozenset[str]) -> None:
        crud_class = self.crud_class
        fields = {*self.shape.columns, *self.shape.to_one, *self.shape.links}
        schemas = [crud_class.create_schema, crud_class.update_schema]
        if option == HIDDEN:
            fields.update(self.annotations, self.filter_methods, properties_of(crud_class.model))
            schemas.append(crud_class.read_schema)
        for schema in filter(None, schemas):
            fields.update(schema.model_fields, schema.model_computed_fields)
        for name in sorted(names):
            self._declaration.require_one_of(option, name, fields)

    def _with_computed_values(self, names: frozenset[str]) -> frozenset[str]:
        """Add the annotations and properties that are computed from hidden fields."""
        self._refuse_identifying_fields(names)
        model = self.crud_class.model
        columns = [self.shape.columns[name] for name in names & self.shape.columns.keys()]
        annotations = [name for name, value in self.annotations.items() if _reads_column(value, columns)]
        properties = [
            name
            for name, member in properties_of(model).items()
            if not names.isdisjoint(attributes_read_by(member, model))
        ]
        return names.union(annotations, properties)

    def _refuse_identifying_fields(self, names: frozenset[str]) -> None:
        if identifying := names & {"id", self.crud_class.lookup}:
            raise self._declaration.error(
                HIDDEN, f"{min(identifying)!r} identifies the row in addresses. Leave it out."
            )
        if titles := names & self._title_fields:
            problem = f"{min(titles)!r} is part of the rows' titles (__str__) or their natural key"
            raise self._declaration.error(HIDDEN, f"{problem}. Change these, or leave it out.")

    @property
    def _title_fields(self) -> set[str]:
        """The fields in a row's title, which other rows that refer to it also show."""
        model = self.crud_class.model
        method = name_method(model)
        names = attributes_read_by(method, model) if method else [*title_candidates(self.shape)][:1]
        return {*names, natural_key_of(model)}


def _reads_column(value: Any, columns: Collection[Column[Any]]) -> bool:
    """Return whether an SQL expression contains one of the columns, also as a column of an alias."""
    parts = [part for part in iterate(value) if isinstance(part, Column)]
    return any(part.shares_lineage(column) for part in parts for column in columns)


def properties_of(model: type[Any]) -> Mapping[str, Any]:
    """Return the properties of a model by name, also cached, hybrid and inherited ones, and association proxies."""
    names = {name for class_ in declaring_classes(model) for name in vars(class_)}
    members = {name: getattr_static(model, name, None) for name in names}
    return {name: member for name, member in members.items() if isinstance(member, PROPERTY_TYPES)}


def attributes_read_by(member: Any, model: type[Any]) -> Collection[str]:
    """Return the names of attributes that a property or method of a model may read."""
    if isinstance(member, AssociationProxy):
        return [member.target_collection, member.value_attr]
    names: dict[str, None] = {}
    members = [member]
    while members:
        function = unwrap(_function_of(members.pop()))
        if isfunction(function):
            found = [name for name in _names_in(function.__code__) if name not in names]
            names.update(dict.fromkeys(found))
            members += [getattr_static(model, name, None) for name in found]
    return names


def _function_of(member: Any) -> Any:
    match member:
        case property() | hybrid_property():
            return member.fget
        case cached_property() | hybrid_method():
            return member.func
        case classmethod() | staticmethod():
            return member.__func__
    return member


def _names_in(code: CodeType) -> Iterator[str]:
    """Yield the names in a function, its inner functions and its texts, such as that of `getattr(self, "x")`."""
    yield from code.co_names
    waiting = [*code.co_consts]
    while waiting:
        constant = waiting.pop()
        if isinstance(constant, CodeType):  # of a comprehension, generator or lambda
            yield from _names_in(constant)
        elif isinstance(constant, str):
            yield from NAME_IN_TEXT.findall(constant)
        elif isinstance(constant, tuple | frozenset):
            waiting += constant
