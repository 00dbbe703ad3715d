"""Options that a `Crud` class declares."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel
from sqlalchemy import Select, SQLColumnExpression

from opportune.errors.option_constraints import Names
from opportune.pagination import Paging

Values = BaseModel | Mapping[str, Any]
"""Values to write: an instance of the schema, or a mapping that is validated like a request."""
Key = int | str
"""The `id` of a row, or its value in the `lookup` column."""


class Permission(Enum):
    """Users who may read or write the rows of a model, for `read_permission` and `write_permission` of a `Crud`."""

    ANYONE = "anyone"
    SIGNED_IN = "signed in"
    OWNER = "owner"
    """The user or the members of the team in the `owner_column` or `team_column` of a row."""
    OWNER_OR_PERMITTED = "owner or permitted"
    """Owners may do everything with their rows, and members of groups with the permission with all rows."""
    PERMITTED = "permitted"
    """Members of groups with the permission, and superusers."""

    @property
    def depends_on_groups(self) -> bool:
        return self in (Permission.PERMITTED, Permission.OWNER_OR_PERMITTED)


class SchemaOf:
    """Descriptor that returns one of the schemas of a `Crud` class."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type[Any]) -> type[BaseModel]:
        schema: type[BaseModel] = getattr(owner.definition, self.name)
        return schema


class CrudOptions:
    """The options of `Crud`."""

    model: ClassVar[type[Any]]

    default: ClassVar[bool] = False
    """Whether the rules of this class apply when other pages show or refer to rows of the model. If a model has several
    classes, exactly one of them is the default. Subclasses do not inherit it."""
    lookup: ClassVar[str] = "id"
    """The column that identifies rows in addresses: `id`, or a unique text such as `slug`."""
    owner_column: ClassVar[str | None] = None
    """The foreign key column of the user who owns a row."""
    team_column: ClassVar[str | None] = None
    """The foreign key column of the team that owns a row. With an `owner_column`, rows belong to the user while no team
    is selected."""
    team_roles: ClassVar[Mapping[str, str]] = {}
    """Team roles that actions require: `{"delete": "admin"}`. Members of any role may do other actions."""
    read_permission: ClassVar[Permission | None] = None
    """Users who may read rows: by default the owner, or users with the permission if rows have no owner."""
    write_permission: ClassVar[Permission | None] = None
    """Users who may add, change and delete rows. The default is the same as for `read_permission`."""
    search: ClassVar[Names] = ()
    """Text columns of the row and of related rows (`author.name`). `?q=` searches them for every word."""
    filters: ClassVar[Names] = ()
    """Columns and relationships that a list can be filtered by."""
    sort: ClassVar[Names] = ()
    """Columns, annotations and paths that `?sort=` accepts."""
    order: ClassVar[Names] = ()
    """Default order of a list, with `-` for descending. Without it, the newest rows come first."""
    annotations: ClassVar[Mapping[str, SQLColumnExpression[Any] | Select[Any]]] = {}
    """Computed values by name, as correlated selects. Responses contain them. Lists can show and sort by them."""
    write_fields: ClassVar[Names] = ()
    """Writable fields; by default all except secrets, privileges, references to users and time stamps."""
    read_fields: ClassVar[Names] = ()
    """Fields of a response; by default all except secrets."""
    exclude: ClassVar[Sequence[str]] = ()
    """Fields that are neither writable nor part of a response."""
    readonly: ClassVar[Sequence[str]] = ()
    """Fields of a response that are not writable."""
    nested: ClassVar[Names] = ()
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
