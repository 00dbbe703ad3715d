"""Contents of an existing database: tables, and objects that models cannot describe."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from shlex import quote

from sqlalchemy import Connection, inspect, text

from opportune.db.migrations.history import VERSION_TABLE
from opportune.db.migrations.post_migrate import is_derived
from opportune.plurals import list_first

CHILDREN = """
    SELECT child.relname, parent.relname, child.relispartition OR NOT EXISTS (
        SELECT 1 FROM pg_constraint WHERE conrelid = child.oid AND contype = 'p'
    ) AS is_partition
    FROM pg_inherits
    JOIN pg_class AS child ON child.oid = inhrelid JOIN pg_class AS parent ON parent.oid = inhparent
    WHERE child.relnamespace = current_schema()::regnamespace AND child.relkind IN ('r', 'p', 'f')
    ORDER BY 1
"""
FOREIGN_TABLES = """
    SELECT relname FROM pg_class
    WHERE relkind = 'f' AND NOT relispartition AND relnamespace = current_schema()::regnamespace ORDER BY 1
"""
EXCLUSIONS = """
    SELECT conname, relname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
    WHERE contype = 'x' AND connamespace = current_schema()::regnamespace ORDER BY 1
"""
TRIGGERS = """
    SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
    WHERE NOT tgisinternal AND tgparentid = 0 AND relnamespace = current_schema()::regnamespace ORDER BY 2, 1
"""
FUNCTIONS = """
    SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_proc.oid AND deptype IN ('e', 'i')) ORDER BY 1
"""
SQLITE_TRIGGERS = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger' ORDER BY 2, 1"

MAX_LISTED_TABLES = 3
"""Maximum number of tables to list of another schema."""


@dataclass
class Contents:
    """Names of tables and other objects."""

    tables: list[str] = field(default_factory=list)
    """Tables with a primary key."""
    keyless_tables: list[str] = field(default_factory=list)
    dotted_tables: list[str] = field(default_factory=list)
    """Tables with a dot in their name, which foreign keys cannot refer to."""
    views: list[str] = field(default_factory=list)
    materialized_views: list[str] = field(default_factory=list)
    foreign_tables: list[str] = field(default_factory=list)
    partitions: dict[str, str] = field(default_factory=dict)
    """Partitions and inheriting tables without a key, with their parent tables."""
    inheriting: dict[str, str] = field(default_factory=dict)
    """Other inheriting tables, with their parent tables."""
    default_schema: str = ""
    other_schemas: dict[str, list[str]] = field(default_factory=dict)
    exclusion_constraints: list[str] = field(default_factory=list)
    triggers: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)

    @property
    def queryable(self) -> list[str]:
        """Names of the tables that `--views` writes."""
        return [*self.views, *self.materialized_views, *self.keyless_tables]

    @property
    def other_tables(self) -> list[str]:
        """Names such as `accounting.ledger`."""
        return [f"{schema}.{name}" for schema, names in self.other_schemas.items() for name in names]

    def advice_on_other_schemas(self, *, has_site: bool) -> str:
        """Return how to get models for tables of other schemas; empty if there are none.

        Args:
            has_site: Whether the default schema already has tables of this site.
        """
        if not self.other_schemas:
            return ""
        lists = {schema: list_first(names, MAX_LISTED_TABLES) for schema, names in self.other_schemas.items()}
        tables = "; ".join(f"{schema} ({names})" for schema, names in lists.items())
        schema, names = next(iter(self.other_schemas.items()))
        move = f'ALTER TABLE "{schema}"."{names[0]}" SET SCHEMA "{self.default_schema}"'
        select = f'ALTER ROLE CURRENT_USER SET search_path = "{schema}"'
        action = f"Move the tables in SQL: {move}" if has_site else f"Choose a schema in SQL: {select}"
        schemas = f"Models use only the default schema, {self.default_schema}. Other schemas have tables: {tables}."
        return f"{schemas} {action}"

    def notices(self) -> Iterator[str]:
        """Yield lines about omitted objects, grouped by type."""
        for name in self.keyless_tables:
            yield f"Omitted {name}, which has no primary key. To query it: inspectdb --views {quote(name)}"
        for type_, names in (("view", self.views), ("materialized view", self.materialized_views)):
            if names:
                command = f"inspectdb --views {' '.join(map(quote, names))}"
                yield f"Omitted the {_enumerated(type_, names)}. To query: {command}"
        for parent in dict.fromkeys(self.partitions.values()):
            names = [name for name, table in self.partitions.items() if table == parent]
            effect = f" New databases get {parent} as a single table." if parent in self.tables else ""
            yield f"Omitted the {_enumerated('partition', names)} of {parent}.{effect}"
        for name, parent in self.inheriting.items():
            yield f"{name} inherits from {parent} in this database. In new ones they are separate tables."
        if self.foreign_tables:
            yield f"Omitted the {_enumerated('foreign table', self.foreign_tables)}."
        if self.dotted_tables:
            yield f"Omitted the {_enumerated('table', self.dotted_tables)}. Models cannot refer to a name with a dot."
        if self.other_tables:
            yield f"Omitted the {_enumerated('table', self.other_tables)}. Models use only the default schema."
        yield from self._notice_of_lost_objects()

    def _notice_of_lost_objects(self) -> Iterator[str]:
        constraints = self.exclusion_constraints
        objects = {"EXCLUDE constraint": constraints, "trigger": self.triggers, "function": self.functions}
        if labels := [_enumerated(type_, names) for type_, names in objects.items() if names]:
            yield (
                f"Not in the models: {'; '.join(labels)}. This database keeps them. For new databases, "
                "create them in the first migration with op.execute."
            )


def read_contents(connection: Connection) -> Contents:
    """Read the names of the objects in the default schema, and of the tables in other schemas."""
    inspector = inspect(connection)
    keys = inspector.get_multi_pk_constraint()
    is_postgresql = connection.dialect.name == "postgresql"
    contents = _postgresql_contents(connection) if is_postgresql else Contents()
    shadow_tables = set() if is_postgresql else _shadow_tables(connection)
    for name in inspector.get_table_names():
        if name == VERSION_TABLE.name or is_derived(name) or name in shadow_tables:
            continue
        if "." in name:
            contents.dotted_tables.append(name)
        elif name not in contents.partitions:
            has_key = bool(keys[None, name]["constrained_columns"])
            group = contents.tables if has_key else contents.keyless_tables
            group.append(name)
    contents.views = inspector.get_view_names()
    if not is_postgresql:
        contents.triggers = _names_with_tables(connection, SQLITE_TRIGGERS)
    return contents


def _shadow_tables(connection: Connection) -> set[str]:
    """Return the tables in which virtual tables, such as a full-text index, keep their data."""
    result = connection.execute(text("PRAGMA table_list"))
    rows = result.mappings() if result.returns_rows else ()  # SQLite before version 3.37 has no such pragma
    return {row["name"] for row in rows if row["type"] == "shadow"}


def _postgresql_contents(connection: Connection) -> Contents:
    inspector = inspect(connection)
    schemas = {*inspector.get_schema_names()} - {inspector.default_schema_name, "information_schema"}
    tables = {schema: inspector.get_table_names(schema) for schema in sorted(schemas)}
    children = connection.execute(text(CHILDREN)).all()
    return Contents(
        partitions={child: parent for child, parent, is_partition in children if is_partition},
        inheriting={child: parent for child, parent, is_partition in children if not is_partition},
        foreign_tables=list(connection.scalars(text(FOREIGN_TABLES))),
        materialized_views=inspector.get_materialized_view_names(),
        default_schema=inspector.default_schema_name or "",
        other_schemas={schema: names for schema, names in tables.items() if names},
        exclusion_constraints=_names_with_tables(connection, EXCLUSIONS),
        triggers=_names_with_tables(connection, TRIGGERS),
        functions=list(connection.scalars(text(FUNCTIONS))),
    )


def _names_with_tables(connection: Connection, query: str) -> list[str]:
    return [f"{name} of {table}" for name, table in connection.execute(text(query))]


def _enumerated(type_: str, names: Sequence[str]) -> str:
    plural = "" if len(names) == 1 else "s"
    return f"{type_}{plural} {', '.join(names)}"
