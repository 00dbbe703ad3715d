"""Registry of the `Crud` classes and the default one of each model, and of the models of teams that own rows."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from types import FunctionType
from typing import Any, NamedTuple, Protocol

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.errors import OperatorError

CrudClass = type[Any]
"""Subclass of `Crud`, which imports this module."""

crud_classes: dict[type[Any], list[CrudClass]] = {}
"""The `Crud` classes of each model."""


def register(crud_class: CrudClass) -> None:
    """Add a class. It replaces the class with the same name in the same module, which no code can reach."""
    name = _full_name(crud_class)
    others = [other for other in crud_classes.get(crud_class.model, ()) if _full_name(other) != name]
    crud_classes[crud_class.model] = [*others, crud_class]


def default_crud(model: type[Any]) -> CrudClass | None:
    """Return the class whose rules apply when other models, pages and tools show or refer to rows of this model.

    Raises:
        OperatorError: Several classes have this model, and not exactly one of them is declared as the default.
    """
    classes = crud_classes.get(model, [])
    if len(classes) > 1:
        if message := _default_error(model):
            raise OperatorError(message)
        classes = _find_declared_defaults(classes)
    return classes[0] if classes else None


def takes_model_name(crud_class: CrudClass) -> bool:
    """Return whether the schemas of a class have the name of the model instead of the class."""
    classes = crud_classes.get(crud_class.model, [crud_class])
    return crud_class is (_find_declared_defaults(classes) or classes)[0]


def related_classes(crud_class: CrudClass) -> Sequence[CrudClass]:
    """Return a class and the classes of models that its rows refer to."""
    shape = crud_class.definition.shape
    targets = {*shape.references.values(), *shape.links.values()}
    related = {other for target in targets for other in crud_classes.get(target, ())}
    return (crud_class, *(related - {crud_class}))


def may_use_permissions(crud_class: CrudClass, base: CrudClass) -> bool:
    """Return whether rules of a class use permissions. Methods of the project may call `may` in any case."""
    classes = crud_class.__mro__[: crud_class.__mro__.index(base)]
    has_methods = any(isinstance(member, FunctionType) for class_ in classes for member in vars(class_).values())
    permissions = (crud_class.definition.read_permission, crud_class.definition.write_permission)
    return has_methods or any(permission.depends_on_groups for permission in permissions)


def find_default_errors() -> Iterator[str]:
    """Yield a line for each model whose default class is not declared."""
    yield from filter(None, map(_default_error, crud_classes))


def _default_error(model: type[Any]) -> str:
    classes = crud_classes.get(model, [])
    defaults = _find_declared_defaults(classes)
    if len(classes) < 2 or len(defaults) == 1:
        return ""
    if defaults:
        return f"Data layers of {model.__name__} with default = True: {_join_names(defaults)}. Keep it in one of them."
    return (
        f"{model.__name__} has several data layers: {_join_names(classes)}. Set default = True in the one whose rules "
        "apply when other pages show or refer to its rows."
    )


def _find_declared_defaults(classes: Sequence[CrudClass]) -> list[CrudClass]:
    return [crud_class for crud_class in classes if vars(crud_class).get("default")]


def _join_names(classes: Sequence[CrudClass]) -> str:
    *names, last = map(_full_name, classes)
    return f"{', '.join(names)} and {last}"


def _full_name(class_: type[Any]) -> str:
    return f"{class_.__module__}.{class_.__qualname__}"


class Team(Protocol):
    """The current team of a user."""

    @property
    def id(self) -> int: ...

    def has_role(self, role: str) -> bool:
        """Return whether the user has this role or a higher one."""
        ...


class TeamOwners(NamedTuple):
    """Functions and roles of a model of teams, which can own rows of other models."""

    find: Callable[[Request, AsyncSession, bool, bool], Awaitable[Team | None]]
    """Find the team of a request: `find(request, session, is_required, is_writing)`."""
    read_current: Callable[[AsyncSession, Any], Awaitable[Team | None]]
    """Read the team that a user has selected in the browser: `read_current(session, user)`."""
    roles: Sequence[str]
    """Names of the roles that members can have."""
    describe: Callable[..., Any]
    """A dependency without effect that documents the team's header in OpenAPI."""


team_owners: dict[type[Any], TeamOwners] = {}
"""Team owners by the model of the team. `opportune.contrib.teams` registers its models here."""
