"""What one class of the data layer declares, checked and read once; its schemas are made when they are first used."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Label, Select
from sqlalchemy import cast as convert
from sqlalchemy.types import Float, NullType

from opportune.accounts.models import User
from opportune.crud.access import Access
from opportune.crud.answers import Answers
from opportune.crud.declaration import Declaration, require_number, shape_of
from opportune.crud.field_rules import FieldRules
from opportune.crud.filters import Filter, derive_filters, filter_schema, filters_of, own_filter_field
from opportune.crud.reader import Prepared
from opportune.crud.schemas import (
    SchemaOptions,
    check_schemas,
    create_schema,
    read_schema,
    refuse_fields,
    update_schema,
)
from opportune.crud.teams import TeamOwners, team_owners
from opportune.db.models.columns import is_text, is_unique
from opportune.pagination import Paging

if TYPE_CHECKING:
    from opportune.crud.crud import Crud


NAMES = ("search", "filters", "sort", "order", "write_fields", "read_fields", "exclude", "readonly", "nested")


class Definition:
    def __init__(self, kind: "type[Crud[Any]]", *, called: str, sets_fields: bool, hides: bool, locks: bool) -> None:
        require_number(kind.__name__, kind.model)
        self.kind = kind
        self.is_common = False
        """Whether a list without filters is asked alike of everybody, but for who they are."""
        self.prepared: dict[tuple[str, Sequence[str]], Prepared] = {}
        self.shape = shape_of(kind.model)
        self.annotations = {name: _labelled(name, value) for name, value in kind.annotations.items()}
        self.own_filters = filters_of(kind)
        self.field_rules = FieldRules(self, hides=hides, locks=locks)
        self._answers: dict[frozenset[str], Answers] = {}
        self._unlocked: dict[tuple[type[BaseModel], frozenset[str]], type[BaseModel]] = {}
        self.options = SchemaOptions(
            called=called,
            owner=kind.owner,
            write_fields=kind.write_fields,
            read_fields=kind.read_fields,
            exclude=kind.exclude,
            readonly=kind.readonly,
            nested=kind.nested,
            annotations={name: label.type.python_type for name, label in self.annotations.items()},
            required={"id", kind.lookup} if hides else None,
        )
        declared = Declaration(kind.__name__, self.shape, self.annotations)
        self._check(declared, sets_fields=sets_fields)
        self.filters: Mapping[str, Filter] = derive_filters(declared, kind.filters)
        self.filter_fields = {name: found.field for name, found in self.filters.items()} | {
            name: own_filter_field(declared, name, method) for name, method in self.own_filters.items()
        }
        self._check_filter_schema(declared)

    def _check(self, declared: Declaration, *, sets_fields: bool) -> None:
        kind = self.kind
        for option in NAMES:
            if isinstance(getattr(kind, option), str):
                raise declared.fault(option, f"it is a text. Write ({getattr(kind, option)!r},) with a comma.")
        for name in self.annotations:
            if hasattr(kind.model, name):
                raise declared.fault("annotations", f"{kind.model.__name__} has {name!r} already. Choose another name.")
        for path in kind.search:
            declared.readable_path("search", path, text=True)
        for path in (*kind.sort, *kind.order):
            declared.readable_path("sort" if path in kind.sort else "order", path.removeprefix("-"))
        check_schemas(declared, self.options)
        self._check_lookup(declared)
        self._check_owner(declared)
        self._check_team_roles(declared)
        if not sets_fields:
            self._check_written(declared)

    def _check_written(self, declared: Declaration) -> None:
        """Whether a schema of their own has no more fields than the model, where nobody says what else they mean."""
        for option in ("create_schema", "update_schema"):
            schema: type[BaseModel] | None = getattr(self.kind, option)
            for name in schema.model_fields if schema else ():
                if name not in (*self.shape.columns, *self.shape.links):
                    words = f"{self.kind.model.__name__} has no {name!r}."
                    raise declared.fault(option, f"{words} Leave it out, or say in `assign` what it changes.")

    def _check_lookup(self, declared: Declaration) -> None:
        lookup = self.kind.lookup
        declared.one_of("lookup", lookup, self.shape.columns)
        if lookup != "id" and not (is_text(self.shape.columns[lookup]) and is_unique(self.shape.columns[lookup])):
            raise declared.fault("lookup", f"{lookup!r} is no text that is unique. Give its field unique=True.")

    def _check_owner(self, declared: Declaration) -> None:
        kind, owner = self.kind, self.kind.owner
        owners = {User, *team_owners}
        if owner is not None and self.shape.references.get(owner) not in owners:
            found = [name for name, target in self.shape.references.items() if target in owners]
            declared.one_of("owner", owner, found or self.shape.columns)
            raise declared.fault("owner", f"{owner!r} is no foreign key to accounts_user.id. Make it one.")
        for option in ("read_access", "write_access"):
            if getattr(kind, option) is Access.OWNER and owner is None:
                raise declared.fault(option, 'rows have no owner. Name the column: owner = "user_id".')

    def _check_team_roles(self, declared: Declaration) -> None:
        if self.kind.team_roles and not self.team:
            raise declared.fault("team_roles", 'no team owns the rows. Name the column: owner = "team_id".')
        for role in self.kind.team_roles.values():
            declared.one_of("team_roles", role, self.team.roles if self.team else (), noun="A team")

    def _check_filter_schema(self, declared: Declaration) -> None:
        if schema := self.kind.filter_schema:
            for name in schema.model_fields.keys() - Paging.model_fields.keys() - {"q"}:
                declared.one_of("filter_schema", name, self.filter_fields, noun=self.kind.__name__)

    @property
    def team(self) -> TeamOwners | None:
        """How the team is found that owns rows; None where people do, or nobody."""
        return team_owners.get(self.shape.references.get(self.kind.owner or "") or object)

    @cached_property
    def is_of_team(self) -> bool:
        return self.team is not None

    @property
    def read_access(self) -> Access:
        return self.kind.read_access or (Access.OWNER if self.kind.owner else Access.PERMITTED)

    @property
    def write_access(self) -> Access:
        return self.kind.write_access or (Access.OWNER if self.kind.owner else Access.PERMITTED)

    @cached_property
    def create_schema(self) -> type[BaseModel]:
        return self.kind.create_schema or create_schema(self.shape, self.options)

    @cached_property
    def update_schema(self) -> type[BaseModel]:
        return self.kind.update_schema or update_schema(self.shape, self.options)

    @cached_property
    def read_schema(self) -> type[BaseModel]:
        return self.kind.read_schema or read_schema(self.shape, self.options)

    @cached_property
    def filter_schema(self) -> type[Paging]:
        return self.kind.filter_schema or filter_schema(
            self.options.called, self.filter_fields, self.kind.sort, searched=bool(self.kind.search)
        )

    @cached_property
    def answers(self) -> Answers:
        return Answers(self)

    def answers_without(self, hidden: frozenset[str]) -> Answers:
        """How rows are written as JSON for users from whom these fields are hidden."""
        if not hidden:
            return self.answers
        if hidden not in self._answers:
            self._answers[hidden] = Answers(self, hidden)
        return self._answers[hidden]

    def unlocked(self, schema: type[BaseModel], locked: frozenset[str]) -> type[BaseModel]:
        """A schema for users who may not write these fields: they may be left out, and are refused by name."""
        if not locked:
            return schema
        key = schema, locked.intersection(schema.model_fields)
        if key not in self._unlocked:
            self._unlocked[key] = refuse_fields(*key)
        return self._unlocked[key]


def _labelled(name: str, value: Any) -> Label[Any]:
    """A value that is computed, by its name. What says nothing of its type, such as an average, is a float."""
    found: ColumnElement[Any] = value.scalar_subquery() if isinstance(value, Select) else value
    return (convert(found, Float) if isinstance(found.type, NullType) else found).label(name)
