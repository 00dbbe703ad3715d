"""Column types that SQLAlchemy has no class for."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.types import TypeEngine, UserDefinedType


class NativeType(UserDefinedType[str]):
    """Column type by its name in the database, such as `NativeType("xml")`. Values are text."""

    cache_ok = True

    def __init__(self, name: str, *arguments: object, collation: str | None = None) -> None:
        self.name = f"{name}({', '.join(map(str, arguments))})" if arguments else name
        self.collation = collation

    def get_col_spec(self, **_options: object) -> str:
        return self.name

    @property
    def python_type(self) -> type[str]:
        return str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class TypesByName(dict[str, Any]):
    """Types of a dialect. Unknown names return a `NativeType`."""

    def __init__(self, types: Mapping[str, Any]) -> None:
        super().__init__(types)

    def get(self, name: str, default: Any = None) -> Callable[..., TypeEngine[Any]]:
        """Return the class of a type. SQLAlchemy looks up enums and domains before it calls this."""
        return super().get(name, default) or partial(NativeType, name)


def recognize_all_types(dialect: Dialect) -> None:
    """Reflect unknown PostgreSQL types as `NativeType` instead of `NullType` with a warning."""
    if dialect.name == "postgresql":
        dialect.ischema_names = TypesByName(dialect.ischema_names)  # type: ignore[attr-defined]  # documented, not typed
