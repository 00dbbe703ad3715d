"""Write the migrations that the models ask for.

On a terminal it asks what it cannot know; elsewhere options say it.
"""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from opportune.cli.options import NoInput
from opportune.cli.output import say, warn
from opportune.config.project import display_path, installed_names
from opportune.config.settings import Settings, get_settings
from opportune.db.migrations.autogenerate import (
    NewMigration,
    changed_features,
    comparison_database,
    draft_migration,
    empty_migration,
    missing_migrations,
    refuse_unowned_tables,
    write_migration,
)
from opportune.db.migrations.compatibility import incompatibilities
from opportune.db.migrations.concurrent_indexes import split_indexes
from opportune.db.migrations.connection import migration_url
from opportune.db.migrations.graph import MigrationGraph, read_migration
from opportune.db.migrations.locks import table_locks
from opportune.db.migrations.merging import merge_name, refuse_conflicts, write_merge
from opportune.db.migrations.questions import Choices, parse_options
from opportune.db.models.model import Model
from opportune.errors import OperatorError


def command(
    feature: Annotated[str | None, typer.Argument(help="Only this feature.")] = None,
    message: Annotated[str | None, typer.Option("--message", "-m", help="Words for the file's name.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if something is missing.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing, only say what would be written.")] = False,
    make_empty: Annotated[bool, typer.Option("--empty", help="Write a migration without operations.")] = False,
    merge: Annotated[
        bool, typer.Option("--merge", help="Join two last migrations of a feature, as two branches of Git leave them.")
    ] = False,
    allow_drop: Annotated[
        bool, typer.Option("--allow-drop", help="Let tables and columns be dropped, with what they hold.")
    ] = False,
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="A column, table or member of an Enum has a new name; may be repeated."),
    ] = None,
    fill: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN[=VALUE]", help="What rows that exist get; without =VALUE code of yours says it."),
    ] = None,
    no_input: NoInput = False,
    concurrently: Annotated[
        bool | None,
        typer.Option(
            "--concurrently/--no-concurrently",
            help="Let PostgreSQL build indexes while others write. [default: where DATABASE_URL is PostgreSQL]",
        ),
    ] = None,
) -> None:
    graph = MigrationGraph(installed_names())
    if merge:
        merge_branches(graph, [feature] if feature else graph.features, writes=not (check or dry_run))
        return
    choices = choices_from(rename or [], fill or [])
    choices.may_drop = allow_drop or check
    if check:
        choices.prompt = lambda _question: ""  # what there is to do can be told without
    elif sys.stdin.isatty() and not no_input:
        choices.confirm, choices.prompt = typer.confirm, ask_value
    settings = get_settings()
    drafts = collect(settings, graph, feature, message, choices, make_empty=make_empty)
    choices.refuse_unused()
    kind = migration_url(settings).kind
    on_postgresql = kind == "postgresql"
    if on_postgresql if concurrently is None else concurrently:
        drafts = [part for draft in drafts for part in split_indexes(draft, message)]
    if not drafts:
        say("No changes detected")
    for draft in drafts:
        write_draft(graph, draft, kind, writes=not (check or dry_run))
    if check and drafts:
        raise typer.Exit(1)


def write_draft(graph: MigrationGraph, draft: NewMigration, kind: str, *, writes: bool) -> None:
    """Write a migration and print its changes, with warnings about locks and the version that still runs."""
    path = graph.folder(draft.feature) / f"{draft.name}.py"
    if writes:
        path = write_migration(MigrationGraph(installed_names()), draft)
    print(f"Migrations for '{draft.feature}':\n  {display_path(path)}")
    for change in draft.changes:
        print(f"    {change}")
    made = [read_migration(path)] if path.exists() else []
    for warning in (*(table_locks(made) if kind == "postgresql" else ()), *incompatibilities(made, kind)):
        warn(f"    ! {warning}")


def merge_branches(graph: MigrationGraph, features: Sequence[str], *, writes: bool) -> None:
    """Write a migration for each of the features that has several last ones."""
    split = [name for name in features if len(graph.heads(name)) > 1]
    if not split:
        say("No migrations to merge")
    for name in split:
        refuse_conflicts(graph, name)
        path = write_merge(graph, name) if writes else graph.folder(name) / f"{merge_name(graph, name)}.py"
        heads = " and ".join(head.name for head in graph.heads(name))
        print(f"Migrations for '{name}':\n  {display_path(path)}\n    ~ Merge {heads}")


def collect(
    settings: Settings,
    graph: MigrationGraph,
    feature: str | None,
    message: str | None,
    choices: Choices | None = None,
    *,
    make_empty: bool,
) -> Sequence[NewMigration]:
    """Return what is to be written, for one feature or for all.

    If the database lacks migrations, only features without any are compared: their tables are all new to it.

    Raises:
        OperatorError: no such feature, an empty migration for all of them, a table that no feature owns, or the
            database lacks migrations and no feature gets its first one.
    """
    if make_empty:
        if feature is None:
            raise OperatorError("--empty wants a feature: python3 oppman.py makemigrations FEATURE --empty")
        return [empty_migration(graph, feature, message)]
    refuse_unowned_tables(graph.features, Model.metadata)
    features = [feature] if feature else graph.features
    for name in features:
        graph.newest(name)  # refuses what cannot be added to, before the database is asked
    with comparison_database(settings, graph) as connection:
        missing = missing_migrations(connection, graph, features)
        compared = [name for name in features if not graph.of(name)] if missing else features
        changed = changed_features(connection, graph, compared, Model.metadata)
        drafts = [draft_migration(connection, graph, name, Model.metadata, message, choices) for name in changed]
    found = [draft for draft in drafts if draft.changes]
    if missing and not found:
        names = ", ".join(map(str, missing))
        raise OperatorError(f"The database, with which models are compared, lacks {names}: run `migrate` first.")
    if missing:
        written = ", ".join(draft.feature for draft in found)
        warn(
            f"Compared {written} only: the database lacks migrations of other features. Run `migrate` to compare them."
        )
    return found


def choices_from(renames: Sequence[str], fills: Sequence[str]) -> Choices:
    names = {old: new for old, new in parse_options(renames).items() if old and new}
    if len(names) < len(renames):
        raise typer.BadParameter("A rename is OLD=NEW, such as book.name=title; each old name once.")
    return Choices(names, parse_options(fills))


def ask_value(question: str) -> str:
    words = f"{question} A value, or nothing to say it by code in the migration"
    answer: str = typer.prompt(words, default="", show_default=False)
    return answer
