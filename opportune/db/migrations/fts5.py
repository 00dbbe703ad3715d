"""Full-text tables of SQLite (FTS5). They have no copy of the texts, and triggers update them."""

from collections.abc import Sequence

TABLE = """CREATE VIRTUAL TABLE {index} USING fts5({columns}, content='{table}', content_rowid='id',
 {options})"""
ADD = "INSERT INTO {index} (rowid, {columns}) VALUES (new.id, {new});"
REMOVE = "INSERT INTO {index} ({index}, rowid, {columns}) VALUES ('delete', old.id, {old});"
TRIGGERS = {
    "_insert": f"CREATE TRIGGER {{index}}_insert AFTER INSERT ON {{table}} BEGIN {ADD} END",
    "_update": f"CREATE TRIGGER {{index}}_update AFTER UPDATE OF id, {{columns}} ON {{table}} BEGIN {REMOVE} {ADD} END",
    "_delete": f"CREATE TRIGGER {{index}}_delete AFTER DELETE ON {{table}} BEGIN {REMOVE} END",
}


def fts5_definitions(index: str, table: str, columns: Sequence[str], options: str) -> dict[str, str]:
    """Return the statements that create the table and its triggers, by the names of these objects."""
    names = [f'"{name}"' for name in columns]
    parts = {
        "index": index,
        "table": table,
        "columns": ", ".join(names),
        "new": ", ".join(f"new.{name}" for name in names),
        "old": ", ".join(f"old.{name}" for name in names),
        "options": options,
    }
    return {f"{index}{suffix}": template.format(**parts) for suffix, template in {"": TABLE, **TRIGGERS}.items()}


def fill_fts5(index: str) -> str:
    """Return the statement that builds the index from the rows of its table."""
    return f"INSERT INTO {index} ({index}) VALUES ('rebuild')"


def is_own_fts5(prefix: str, name: str, definition: str) -> bool:
    """Return whether an object has the form of `fts5_definitions`. Tables of other programs may contain their texts."""
    if suffix := next((suffix for suffix in TRIGGERS if name.endswith(suffix)), ""):
        return f"INSERT INTO {name.removesuffix(suffix)} (" in definition
    return f"content='{name.removeprefix(prefix)}', content_rowid='id'" in definition
