"""The data layer of one model: who may see and change which rows, what a list can be asked, what may be written."""

from collections.abc import Sequence
from types import FunctionType
from typing import Any, TypeVar, get_args

from opportune.crud.access import Access
from opportune.crud.definition import Definition
from opportune.crud.options import Key, M, Values
from opportune.crud.registry import cruds
from opportune.crud.row_writing import Writing
from opportune.crud.teams import TeamOwners
from opportune.errors import OperatorError

__all__ = ["Crud", "Key", "Values", "cruds"]


class Crud(Writing[M]):
    """The rows of a model as one person has them: `class Books(Crud[Book])`, `await Books(session, user).get(3)`.

    Knows no HTTP and never commits. Where nobody may, `Forbidden` is raised; what is not theirs is `NotFound`; what
    cannot be stored is `FieldErrors`. Each method can be overridden.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        given = (arg for base in vars(cls).get("__orig_bases__", ()) for arg in get_args(base))
        if model := next((arg for arg in given if isinstance(arg, type)), None):
            cls.model = model
        if not hasattr(cls, "model"):
            if not any(
                isinstance(arg, TypeVar) for base in vars(cls).get("__orig_bases__", ()) for arg in get_args(base)
            ):
                raise OperatorError(f"{cls.__name__} names no model. Write: class {cls.__name__}(Crud[Book])")
            return
        is_first = cruds.setdefault(cls.model, cls) is cls
        called = cls.model.__name__ if is_first else cls.__name__
        cls.definition = Definition(
            cls,
            called=called,
            sets_fields=cls.assign is not Crud.assign,
            hides=cls.hidden_fields is not Crud.hidden_fields,
            locks=cls.readonly_fields is not Crud.readonly_fields,
        )
        cls.definition.is_common = cls._asks_alike()

    @classmethod
    def _asks_alike(cls) -> bool:
        """Whether the list of everybody is one statement: no method of their own is in it, nor another class."""
        methods = ("readable", "query", "column", "visible", "ordering", "default_order", "hidden_fields")
        has_paths = any("." in path for path in (*cls.sort, *cls.order))
        return all(getattr(cls, name) is getattr(Crud, name) for name in methods) and not (has_paths or cls.nested)

    @classmethod
    def asks_grants(cls) -> bool:
        """Whether it matters what groups grant: here, or for rows that are pointed at."""
        return any(kind._may_ask_grants() for kind in cls._concerned())

    @classmethod
    def team_owners(cls) -> TeamOwners | None:
        """How the team is found that owns rows of this, or rows that are pointed at; None where none does."""
        return next((found for kind in cls._concerned() if (found := kind.definition.team)), None)

    @classmethod
    def _concerned(cls) -> "Sequence[type[Crud[Any]]]":
        """This, and those of rows that are pointed at."""
        shape = cls.definition.shape
        targets = {*shape.references.values(), *shape.links.values()}
        return (cls, *({cruds[target] for target in targets if target in cruds} - {cls}))

    @classmethod
    def _may_ask_grants(cls) -> bool:
        """A method of one's own may ask `may`, whatever the class says."""
        own = cls.__mro__[: cls.__mro__.index(Crud)]
        has_methods = any(isinstance(each, FunctionType) for base in own for each in vars(base).values())
        return has_methods or Access.PERMITTED in (cls.definition.read_access, cls.definition.write_access)
