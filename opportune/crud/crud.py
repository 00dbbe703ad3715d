"""Data layer of one model: permissions, queries, filters and validated writes."""

from collections.abc import Sequence
from types import FunctionType
from typing import Any, Self, TypeVar, get_args

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User
from opportune.crud.access import Access
from opportune.crud.definition import Definition
from opportune.crud.options import Key, M, Values
from opportune.crud.registry import crud_classes, register
from opportune.crud.row_writing import WriteOperations
from opportune.crud.teams import TeamOwners
from opportune.errors import OperatorError
from opportune.errors.option_names import refuse_misspelt

__all__ = ["Crud", "Key", "Values"]

QUERY_METHODS = ("readable", "query", "column", "visible", "ordering", "default_order", "hidden_fields")
"""Methods that a list calls to build its statement."""


class Crud(WriteOperations[M]):
    """The rows of a model, as one user may read and write them.

    It is independent of HTTP and never commits. Methods raise `Forbidden` if the user may not do this for any row,
    `NotFound` for rows that the user may not see, and `FieldErrors` for values that cannot be stored. You can override
    each method.

        class Books(Crud[Book]):
            search = ("title", "author.name")
            filters = ("price", "author")

        book = await Books(session, user).get(3)
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_misspelt(cls, Crud)
        args = [arg for base in vars(cls).get("__orig_bases__", ()) for arg in get_args(base)]
        if model := next((arg for arg in args if isinstance(arg, type)), None):
            cls.model = model
        if not hasattr(cls, "model"):
            if not any(isinstance(arg, TypeVar) for arg in args):
                raise OperatorError(f"{cls.__name__} names no model. Write: class {cls.__name__}(Crud[Book])")
            return
        cls.definition = Definition(
            cls,
            has_assign=cls.assign is not Crud.assign,
            hides=cls.hidden_fields is not Crud.hidden_fields,
            locks=cls.readonly_fields is not Crud.readonly_fields,
        )
        cls.definition.shares_statement = cls._shares_statement()
        register(cls)

    @classmethod
    def _shares_statement(cls) -> bool:
        has_paths = any("." in path for path in (*cls.sort, *cls.order))
        is_default = all(getattr(cls, name) is getattr(Crud, name) for name in QUERY_METHODS)
        is_same_for_all = cls.definition.read_access is not Access.OWNER_OR_PERMITTED
        return is_default and is_same_for_all and not (has_paths or cls.nested or cls.team_column)

    @classmethod
    async def for_user(cls, session: AsyncSession, user: User | None) -> Self:
        """Return the data layer of a user with the team selected in the browser, for code without a request."""
        owners = cls.team_owners() if user else None
        return cls(session, user, team=await owners.read_current(session, user) if owners and user else None)

    @classmethod
    def needs_grants(cls) -> bool:
        """Return whether rules of this class, or of classes that its rows refer to, use the grants of groups."""
        return any(crud_class._may_use_grants() for crud_class in cls._with_related_classes())

    @classmethod
    def team_owners(cls) -> TeamOwners | None:
        """Return the model of teams that own these rows, or rows that they refer to. None if no team does."""
        teams = (crud_class.definition.team for crud_class in cls._with_related_classes())
        return next((team for team in teams if team), None)

    @classmethod
    def _with_related_classes(cls) -> "Sequence[type[Crud[Any]]]":
        """Return this class and the classes of models that its rows refer to."""
        shape = cls.definition.shape
        targets = {*shape.references.values(), *shape.links.values()}
        related = (crud_class for target in targets for crud_class in crud_classes.get(target, ()))
        return (cls, *({*related} - {cls}))

    @classmethod
    def _may_use_grants(cls) -> bool:
        """Return whether rules of this class use grants. Methods of the project may call `may` in any case."""
        classes = cls.__mro__[: cls.__mro__.index(Crud)]
        has_methods = any(isinstance(member, FunctionType) for class_ in classes for member in vars(class_).values())
        accesses = cls.definition.read_access, cls.definition.write_access
        return has_methods or any(access.uses_grants for access in accesses)
