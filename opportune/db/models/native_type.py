"""Column types that SQLAlchemy has no class for."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.types import TypeEngine, UserDefinedType

NATIVE_TYPE = """
    SELECT format_type(oid, -1) FROM pg_type WHERE lower(format_type(oid, -1)) = :name AND typtype NOT IN ('d', 'e')
"""


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


class LazyTypes(dict[str, Any]):
    """Types of a PostgreSQL dialect by name. `get`, which reflection calls, looks up unknown ones in the database.

    SQLAlchemy 2.1 looks up enums and domains only if this has no type of that name.
    """

    def __init__(self, types: Mapping[str, Any], connection: Connection) -> None:
        super().__init__(types)
        self.connection = connection

    def get(self, name: str, default: Any = None) -> Callable[..., TypeEngine[Any]] | None:
        """Return the class of a type by its name in lower case."""
        if name not in self and (spelling := self.connection.scalar(text(NATIVE_TYPE), {"name": name})):
            self[name] = partial(NativeType, spelling)
        type_: Callable[..., TypeEngine[Any]] | None = super().get(name, default)
        return type_


def recognize_all_types(connection: Connection) -> None:
    """Reflect unknown PostgreSQL types as `NativeType` instead of `NullType` with a warning."""
    dialect = connection.dialect
    if dialect.name == "postgresql":
        dialect.ischema_names = LazyTypes(dialect.ischema_names, connection)  # type: ignore[attr-defined]  # documented, not typed
