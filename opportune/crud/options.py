"""Options of a `Crud` class, and the permissions of the user."""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel
from sqlalchemy import ColumnElement, and_, false, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.groups.grants import identity_of, matches_grant
from opportune.accounts.models import User
from opportune.crud.access import Access
from opportune.crud.definition import Definition
from opportune.crud.field_rules import HIDDEN, NO_FIELDS, READONLY
from opportune.crud.registry import default_crud
from opportune.crud.serializer import Serializer
from opportune.crud.teams import Team
from opportune.db.models.model import Model
from opportune.errors import Forbidden
from opportune.pagination import Paging

M = TypeVar("M", bound=Model)

Values = BaseModel | Mapping[str, Any]
"""Values to write: an instance of the schema, or a mapping that is validated like a request."""
Key = int | str
"""The `id` of a row, or its value in the `lookup` column."""


READ_ACTIONS = {"list", "details"}
WRITE_ACTIONS = {"create", "edit", "delete"}


class SchemaOf:
    """Descriptor that returns one of the schemas of a `Crud` class."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: "type[CrudOptions[Any]]") -> type[BaseModel]:
        schema: type[BaseModel] = getattr(owner.definition, self.name)
        return schema


class CrudOptions(Generic[M]):
    """The options of `Crud`, and the permissions of its user."""

    model: ClassVar[type[Any]]
    definition: ClassVar[Definition]

    default: ClassVar[bool] = False
    """Whether the rules of this class apply when other pages show or refer to rows of the model. If a model has several
    classes, exactly one of them is the default. Subclasses do not inherit it."""
    lookup: ClassVar[str] = "id"
    """The column that identifies rows in addresses: `id`, or a unique text such as `slug`."""
    owner: ClassVar[str | None] = None
    """The foreign key column of the owner: a user or a team."""
    team_column: ClassVar[str | None] = None
    """The foreign key column of a team. While the user has a current team, rows belong to it instead of `owner`."""
    team_roles: ClassVar[Mapping[str, str]] = {}
    """Team roles that actions require: `{"delete": "admin"}`. Members of any role may do other actions."""
    read_access: ClassVar[Access | None] = None
    """Users who may read rows: by default the `owner`, or users with a grant if rows have no owner."""
    write_access: ClassVar[Access | None] = None
    """Users who may add, change and delete rows. The default is the same as for `read_access`."""
    search: ClassVar[Sequence[str]] = ()
    """Text columns of the row and of related rows (`author.name`). `?q=` searches them for every word."""
    filters: ClassVar[Sequence[str]] = ()
    """Columns and relationships that a list can be filtered by."""
    sort: ClassVar[Sequence[str]] = ()
    """Columns, annotations and paths that `?sort=` accepts."""
    order: ClassVar[Sequence[str]] = ()
    """Default order of a list, with `-` for descending. Without it, the newest rows come first."""
    annotations: ClassVar[Mapping[str, Any]] = {}
    """Computed values by name, as correlated selects. Responses contain them. Lists can show and sort by them."""
    write_fields: ClassVar[Sequence[str]] = ()
    """Writable fields; by default all except secrets, privileges, references to users and time stamps."""
    read_fields: ClassVar[Sequence[str]] = ()
    """Fields of a response; by default all except secrets."""
    exclude: ClassVar[Sequence[str]] = ()
    """Fields that are neither writable nor part of a response."""
    readonly: ClassVar[Sequence[str]] = ()
    """Fields of a response that are not writable."""
    nested: ClassVar[Sequence[str]] = ()
    """Relationships that a response contains as objects instead of ids."""
    create_schema: ClassVar[type[BaseModel] | None] = None
    update_schema: ClassVar[type[BaseModel] | None] = None
    read_schema: ClassVar[type[BaseModel] | None] = None
    filter_schema: ClassVar[type[Paging] | None] = None

    if TYPE_CHECKING:  # their fields are derived from the model, so any are accepted
        # Classes, so that they can be types: `new: Books.Create`.

        class Create(BaseModel):
            def __init__(self, **values: Any) -> None: ...
            def __getattr__(self, name: str) -> Any: ...

        class Update(Create): ...

        class Read(Create): ...

        class Filter(Paging):
            def __init__(self, **values: Any) -> None: ...
            def __getattr__(self, name: str) -> Any: ...

    else:
        Create = SchemaOf("create_schema")
        Update = SchemaOf("update_schema")
        Read = SchemaOf("read_schema")
        Filter = SchemaOf("filter_schema")

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

    # Permissions

    def may(self, action: str) -> bool:
        """Return whether the user may do an action on any row. `readable` and `writable` say on which rows.

        Args:
            action: `list`, `details`, `create`, `edit` or `delete`, or another action that groups can be granted.
        """
        if role := self.team_roles.get(action):
            if self.team is None:
                return self.user is not None and self.team_column is not None
            return self.user is not None and self.team.has_role(role)
        if action in READ_ACTIONS:
            access = self.definition.read_access
        else:
            access = self.definition.write_access if action in WRITE_ACTIONS else Access.PERMITTED
        if access in (Access.ANYONE, Access.SIGNED_IN):
            return access is Access.ANYONE or self.user is not None
        is_owner = access is not Access.PERMITTED and self.owner_id is not None
        return is_owner or (access is not Access.OWNER and self._is_granted(action))

    def _is_granted(self, action: str) -> bool:
        """Return whether the user is a superuser or in a group that may do an action."""
        if self.user is None:
            return False
        return self.user.is_superuser or matches_grant(self.grants, self.identity(), action)

    @classmethod
    def identity(cls) -> str:
        """Return the name of the model in grants and in the admin's addresses."""
        return identity_of(cls.model)

    def require(self, action: str) -> None:
        """Raise Forbidden if the user may not do this action."""
        if not self.may(action):
            raise Forbidden

    def readable(self) -> ColumnElement[bool]:
        """Return the condition for rows that the user may read. Other rows are not found."""
        return self._owned(self.definition.read_access, "list")

    def writable(self) -> ColumnElement[bool]:
        """Return the condition for readable rows that the user may change or delete."""
        return self._owned(self.definition.write_access, "edit", "delete")

    def writable_by(self, action: str) -> ColumnElement[bool]:
        """Return the condition for rows that the user may change by `edit`, or delete by `delete`."""
        if self.definition.write_access is not Access.OWNER_OR_PERMITTED:
            return self.writable()
        return and_(self.writable(), self._owned(Access.OWNER_OR_PERMITTED, action))

    @property
    def owner_column(self) -> str | None:
        """The column with the owner of new rows: `team_column` if the user has a current team, otherwise `owner`."""
        return self.team_column if self.team_column and self.team else self.owner

    @property
    def owner_id(self) -> int | None:
        """The owner of new rows: the id of the user or of the current team."""
        belongs_to_team = self.definition.belongs_to_team or (self.team_column and self.team)
        owner = self.team if belongs_to_team else self.user
        return owner.id if owner else None

    def _owned(self, access: Access, *actions: str, owner_id: Any = None) -> ColumnElement[bool]:
        """Return the condition for rows of the user. Groups with one of the actions may have access to all rows."""
        if access not in (Access.OWNER, Access.OWNER_OR_PERMITTED) or self.owner_column is None:
            return true()
        if access is Access.OWNER_OR_PERMITTED and any(self._is_granted(action) for action in actions):
            return true()
        column: ColumnElement[Any] = getattr(self.model, self.owner_column)
        owner_id = self.owner_id if owner_id is None else owner_id
        return false() if owner_id is None else column == owner_id

    def visible(self, model: type[Any]) -> ColumnElement[bool]:
        """Return the condition for readable rows of another model. Models without a `Crud` class have no limit."""
        other = self._crud_of(model)
        if other is None:
            return true()
        return other.readable() if other.may("list") else false()

    def _crud_of(self, model: type[Any]) -> "CrudOptions[Any] | None":
        """Return the data layer of another model for the same user, or None."""
        crud_class = type(self) if model is self.model else default_crud(model)
        return crud_class(self.session, self.user, self.grants, self.team) if crud_class else None

    def choosable(self, model: type[Any]) -> ColumnElement[bool]:
        """Return the condition for rows of another model that a row may refer to. By default these are readable rows.

        Users are special if their model has no `Crud` class. Superusers and members of groups that may write here can
        choose all of them. Other users can only choose themselves, so that forms do not reveal which accounts exist.
        """
        writes = self.definition.write_access.uses_grants and (self._is_granted("create") or self._is_granted("edit"))
        if model is not User or default_crud(User) or writes or (self.user and self.user.is_superuser):
            return self.visible(model)
        return col(User.id) == self.user.id if self.user else false()

    # Fields the user may not see or write

    def hidden_fields(self) -> Collection[str]:
        """Return the fields that this user may neither see nor write, in addition to `exclude`."""
        return ()

    def readonly_fields(self) -> Collection[str]:
        """Return the fields that this user may see but not write, in addition to `readonly`."""
        return ()

    @cached_property
    def hidden_names(self) -> frozenset[str]:
        """The names that `hidden_fields` returns, and other fields that reveal the same values."""
        rules = self.definition.field_rules
        return rules.check(HIDDEN, self.hidden_fields()) if rules.hides else NO_FIELDS

    @cached_property
    def locked_names(self) -> frozenset[str]:
        """The fields that this user may not write, including hidden fields."""
        rules = self.definition.field_rules
        return self.hidden_names | rules.check(READONLY, self.readonly_fields()) if rules.locks else NO_FIELDS

    def hides(self, path: str) -> bool:
        """Return whether a field of this model or of a related row (`author.name`) is hidden from this user."""
        name, _, related_name = path.removeprefix("-").partition(".")
        if name in self.hidden_names or not related_name:
            return name in self.hidden_names
        return related_name in self.hidden_in(self.definition.shape.to_one[name].mapper.class_)

    def hidden_in(self, model: type[Any]) -> frozenset[str]:
        """Return the hidden fields of another model's data layer."""
        other = self._crud_of(model)
        return other.hidden_names if other and other.definition.field_rules.hides else NO_FIELDS

    @property
    def serializer(self) -> Serializer:
        """The serializer of rows as JSON for this user."""
        return self.definition.serializer_without(self.hidden_names)
