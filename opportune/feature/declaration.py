"""The declaration of a feature, which the framework and other features read."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field, fields, is_dataclass
from functools import wraps
from importlib.util import find_spec
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter
from pydantic import AfterValidator, StringConstraints
from sqlmodel import SQLModel

from opportune.errors import OperatorError
from opportune.errors.arguments import strict
from opportune.errors.option_constraints import having
from opportune.feature.admin import Admin
from opportune.feature.families import Accounts, Data, Jobs, Llm, Monitoring, Process, Site

T = TypeVar("T")

RENAMED = {"admin_extension": "extension", "admin_panels": "panels", "admin_operations": "actions"}
RENAMED |= {"first_jobs": "first", "llm_guard": "guard"}
"""Arguments of Opportune 0.2 that have another name in their family."""
TABLE = having("tables, which begin with class Book(Model, table=True)", "__table__")
SETTINGS = having("a subclass of opportune.config.BaseSettings", "renamed_settings")
CommandName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$")]
ModuleName = Annotated[str, StringConstraints(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)*$")]


def refuse_old_options(class_: type[T]) -> type[T]:
    """Name the family of an option that `Feature` had in Opportune 0.2."""
    create: Any = class_.__init__

    @wraps(create)
    def init(self: Any, *args: Any, **options: Any) -> None:
        name = args[0] if args else options.get("name", "…")
        for option in options:
            if option not in FAMILIES and (replacement := _new_spelling(option)):
                raise OperatorError(f"Feature({name!r}, {option}=…) is now {replacement}.")
        create(self, *args, **options)

    class_.__init__ = init  # type: ignore[method-assign]
    return class_


def _new_spelling(option: str) -> str | None:
    """Return the new spelling of an option; None if it is up to date or unknown."""
    argument = RENAMED.get(option, option)
    for family, class_ in FAMILIES.items():
        if argument in class_.__dataclass_fields__:
            return f"{family}={class_.__name__}({argument}=…)"
    return None


def require_module(name: str) -> str:
    with suppress(ImportError):  # its package does not exist
        if not name or find_spec(name):
            return name
    raise ValueError(f"names the module {name}, which does not exist")


@refuse_old_options
@strict
@dataclass(frozen=True)
class Feature:
    """One entry of `app/installed.py`."""

    name: str
    """Name of the feature, of its folders, and of its tables as their prefix."""
    summary: str = ""
    """One sentence for the landing page."""
    _: KW_ONLY
    settings: Annotated[type[Any], SETTINGS] | None = None
    """A subclass of `opportune.config.BaseSettings`, read with the site's settings: `settings.of(BooksSettings)`."""
    models: Sequence[Annotated[type[SQLModel], TABLE]] = ()
    requires: Sequence[str] = ()
    """Names of optional features that it uses, such as `("answers",)`. The site does not start without them."""
    pages: APIRouter | Sequence[APIRouter] | None = None
    api: APIRouter | Sequence[APIRouter] | None = None
    """Mounted below /api/v1."""
    hooks: Sequence[Callable[..., Awaitable[None] | None]] = ()
    """Functions of its `hooks.py` that run when rows are created, changed or deleted (oppman.py docs hooks)."""
    commands: Mapping[CommandName, ModuleName] = field(default_factory=dict)
    """Modules of its commands for `oppman.py` by name, `{"books": "app.books.commands"}` (oppman.py docs commands)."""
    quickstart: Annotated[str, AfterValidator(require_module)] = ""
    """Module for `oppman.py quickstart`, with `configure(settings)`, which asks for settings of a new site and returns
    them, and `notes(settings)`, which yields lines for the operator."""
    site: Site = field(default_factory=Site)
    admin: Admin = field(default_factory=Admin)
    data: Data = field(default_factory=Data)
    jobs: Jobs = field(default_factory=Jobs)
    llm: Llm = field(default_factory=Llm)
    accounts: Accounts = field(default_factory=Accounts)
    monitoring: Monitoring = field(default_factory=Monitoring)
    process: Process = field(default_factory=Process)

    def __post_init__(self) -> None:
        if not (self.name.isidentifier() and self.name.isascii()):
            raise OperatorError(f"Feature({self.name!r}): use lowercase letters, digits and underscores in the name.")
        for job in self.jobs.definitions:
            if not hasattr(job, "name"):
                function = getattr(job, "__name__", str(job))
                advice = f'which is not a job. Write @job("{self.name}.{function}") above it.'
                raise OperatorError(f"Feature({self.name!r}, jobs=Jobs(…)) lists {function}, {advice}")


FAMILIES: dict[str, Any] = {each.name: each.type for each in fields(Feature) if is_dataclass(each.type)}
"""Classes of arguments that group others, by name."""
