"""What the data layer of one model declares, and who may see and change which of its rows."""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel
from sqlalchemy import ColumnElement, false, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.groups.grants import identity_of, matches_grant
from opportune.accounts.models import User
from opportune.crud.access import Access
from opportune.crud.answers import Answers
from opportune.crud.definition import Definition
from opportune.crud.field_rules import HIDDEN, NO_FIELDS, READONLY
from opportune.crud.registry import cruds
from opportune.crud.teams import Team
from opportune.db.models.model import Model
from opportune.errors import Forbidden
from opportune.pagination import Paging

M = TypeVar("M", bound=Model)

Values = BaseModel | Mapping[str, Any]
"""What is to be written: of a schema, or by name, which is checked as if it had been sent."""
Key = int | str
"""A row's number, or the text that `lookup` names."""


READING = {"list", "details"}
WRITING = {"create", "edit", "delete"}


class SchemaOf:
    """A schema of the class that it is asked of, made once."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, kind: "type[CrudOptions[Any]]") -> type[BaseModel]:
        schema: type[BaseModel] = getattr(kind.definition, self.name)
        return schema


class FilterOf:
    """The query schema of the class's list. Its fields are derived, so type checkers take any argument."""

    def __get__(self, instance: object, kind: "type[CrudOptions[Any]]") -> type[Any]:
        return kind.definition.filter_schema


class CrudOptions(Generic[M]):
    """The options of `Crud`, and what somebody may."""

    model: ClassVar[type[Any]]
    definition: ClassVar[Definition]

    lookup: ClassVar[str] = "id"
    """What addresses name a row by: `id`, or a text that is unique."""
    owner: ClassVar[str | None] = None
    """The column that says whose a row is: a person's, or a team's."""
    team_roles: ClassVar[Mapping[str, str]] = {}
    """What it takes in the team that owns the rows, by action: `{"delete": "admin"}`. Its members may the rest."""
    read_access: ClassVar[Access | None] = None
    """Who may see rows: by default their owner where there is one, else whom a group grants it."""
    write_access: ClassVar[Access | None] = None
    search: ClassVar[Sequence[str]] = ()
    """Columns of text in which `?q=` looks, word by word; also of a row that is pointed at: `author.name`."""
    filters: ClassVar[Sequence[str]] = ()
    """Columns and relationships by which a list may be filtered."""
    sort: ClassVar[Sequence[str]] = ()
    """What `?sort=` may name."""
    order: ClassVar[Sequence[str]] = ()
    """The order of a list that nobody sorts; `-` turns one round. The newest come first without it."""
    annotations: ClassVar[Mapping[str, Any]] = {}
    """What is computed for each row, as a correlated select: shown, sorted by and answered."""
    write_fields: ClassVar[Sequence[str]] = ()
    """What may be written, instead of all that is not guarded."""
    read_fields: ClassVar[Sequence[str]] = ()
    """What is answered, instead of all that is no secret."""
    exclude: ClassVar[Sequence[str]] = ()
    """Neither written nor answered."""
    readonly: ClassVar[Sequence[str]] = ()
    """Answered, and never written."""
    nested: ClassVar[Sequence[str]] = ()
    """Relationships that are answered as objects instead of numbers."""
    create_schema: ClassVar[type[BaseModel] | None] = None
    update_schema: ClassVar[type[BaseModel] | None] = None
    read_schema: ClassVar[type[BaseModel] | None] = None
    filter_schema: ClassVar[type[Paging] | None] = None

    Create = SchemaOf("create_schema")
    Update = SchemaOf("update_schema")
    Read = SchemaOf("read_schema")
    Filter = FilterOf()

    def __init__(
        self,
        session: AsyncSession,
        user: User | None = None,
        grants: AbstractSet[tuple[str, str]] = frozenset(),
        team: Team | None = None,
    ) -> None:
        self.session = session
        self.user = user
        self.grants = grants
        self.team = team

    # Who may

    def may(self, action: str) -> bool:
        """Whether they may `list`, `details`, `create`, `edit` or `delete` some row, or do what a group is granted."""
        if role := self.team_roles.get(action):
            return self.user is not None and self.team is not None and self.team.has_role(role)
        if action in READING:
            access = self.definition.read_access
        else:
            access = self.definition.write_access if action in WRITING else Access.PERMITTED
        if access is Access.ANYONE:
            return True
        if self.user is None or access is not Access.PERMITTED:
            return self.user is not None and (access is not Access.OWNER or self.owner_id is not None)
        return self.user.is_superuser or matches_grant(self.grants, self.identity(), action)

    @classmethod
    def identity(cls) -> str:
        """What groups are granted rights to, as in the admin's addresses."""
        return identity_of(cls.model)

    def require(self, action: str) -> None:
        """Raise Forbidden for whoever may not."""
        if not self.may(action):
            raise Forbidden

    def readable(self) -> ColumnElement[bool]:
        """Which rows there are for them. Others are not there in any way."""
        return self._is_theirs(self.definition.read_access)

    def writable(self) -> ColumnElement[bool]:
        """Which of these they may change and delete."""
        return self._is_theirs(self.definition.write_access)

    @property
    def owner_id(self) -> int | None:
        """Who owns their rows: they themselves, or the team that they are in."""
        owner = self.team if self.definition.is_of_team else self.user
        return owner.id if owner else None

    def _is_theirs(self, access: Access, number: Any = None) -> ColumnElement[bool]:
        if access is not Access.OWNER or self.owner is None:
            return true()
        column: ColumnElement[Any] = getattr(self.model, self.owner)
        number = self.owner_id if number is None else number
        return false() if number is None else column == number

    def visible(self, model: type[Any]) -> ColumnElement[bool]:
        """Which rows of another model there are for them: all, where it has no data layer of its own."""
        kind = self._layer_of(model)
        if kind is None:
            return true()
        other = kind(self.session, self.user, self.grants, self.team)
        return other.readable() if other.may("list") else false()

    def _layer_of(self, model: type[Any]) -> "type[CrudOptions[Any]] | None":
        return type(self) if model is self.model else cruds.get(model)

    def choosable(self, model: type[Any]) -> ColumnElement[bool]:
        """Return which rows of another model they may point at: those that are `visible`.

        Users without a data layer are all choosable only for superusers, and for members of groups that may write
        here. Others can only choose themselves, so that nobody learns from a form or the API which accounts exist.
        """
        writes = self.definition.write_access is Access.PERMITTED and (self.may("create") or self.may("edit"))
        if model is not User or User in cruds or writes or (self.user and self.user.is_superuser):
            return self.visible(model)
        return col(User.id) == self.user.id if self.user else false()

    # Fields the user may not see or write

    def hidden_fields(self) -> Collection[str]:
        """Return the fields that this user neither sees nor writes, in addition to `exclude`."""
        return ()

    def readonly_fields(self) -> Collection[str]:
        """Return the fields that this user sees and may not write, in addition to `readonly`."""
        return ()

    @cached_property
    def hidden_names(self) -> frozenset[str]:
        """What `hidden_fields` returns, with the fields that tell the same."""
        rules = self.definition.field_rules
        return rules.check(HIDDEN, self.hidden_fields()) if rules.hides else NO_FIELDS

    @cached_property
    def locked_names(self) -> frozenset[str]:
        """The fields that this user may not write, hidden ones included."""
        rules = self.definition.field_rules
        return self.hidden_names | rules.check(READONLY, self.readonly_fields()) if rules.locks else NO_FIELDS

    def hides(self, path: str) -> bool:
        """Whether a field is hidden from this user: of this model, or of a row that it points at (`author.name`)."""
        name, _, rest = path.removeprefix("-").partition(".")
        if name in self.hidden_names or not rest:
            return name in self.hidden_names
        return rest in self.hidden_in(self.definition.shape.to_one[name].mapper.class_)

    def hidden_in(self, model: type[Any]) -> frozenset[str]:
        """Return the hidden fields of another model's data layer."""
        kind = self._layer_of(model)
        if kind is None or not kind.definition.field_rules.hides:
            return NO_FIELDS
        return kind(self.session, self.user, self.grants, self.team).hidden_names

    @property
    def answers(self) -> Answers:
        """How rows are written as JSON for this user."""
        return self.definition.answers_without(self.hidden_names)
