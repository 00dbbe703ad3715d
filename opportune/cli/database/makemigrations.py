"""Write migrations for changed models.

On a terminal, it asks about renames and values for existing rows. Without a terminal, use the options.
"""

import sys
from collections.abc import Sequence
from typing import Annotated, cast

import typer

from opportune.cli.options import NoInput
from opportune.cli.output import say, warn
from opportune.config.settings import Settings, get_settings
from opportune.db.migrations import autogenerate, new_migration
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.merging import choose_merge_name, refuse_conflicts, write_merge
from opportune.db.migrations.migration_file import read_migration
from opportune.db.migrations.ownership import find_unmigrated_models, refuse_unowned_tables
from opportune.db.migrations.questions import Choices, parse_options
from opportune.db.migrations.safety import find_incompatibilities, find_table_locks
from opportune.db.models.model import Model
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.project.current import OPPMAN
from opportune.project.installed import installed_names
from opportune.project.layout import display_path


def command(
    feature: Annotated[str | None, typer.Argument(help="Feature. [default: all]")] = None,
    message: Annotated[
        str | None, typer.Option("--message", "-m", "--name", "-n", help="Words for the file name.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing, and exit with 1 if migrations are missing.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be written.")] = False,
    make_empty: Annotated[bool, typer.Option("--empty", help="Write a migration without operations.")] = False,
    merge: Annotated[
        bool,
        typer.Option("--merge", help="Merge several latest migrations of a feature, for example after a git merge."),
    ] = False,
    allow_drop: Annotated[
        bool, typer.Option("--allow-drop", help="Allow dropping tables and columns with their data.")
    ] = False,
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="Rename of a column, table or enum member. Can be repeated."),
    ] = None,
    fill: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN[=VALUE]", help="Value for existing rows. Without =VALUE, you write code for it."),
    ] = None,
    no_input: NoInput = False,
    concurrently: Annotated[
        bool | None,
        typer.Option(
            "--concurrently/--no-concurrently", help="Create indexes without blocking writes. [default: on PostgreSQL]"
        ),
    ] = None,
) -> None:
    graph = MigrationGraph(installed_names())
    writes = not (check or dry_run)
    if merge:
        if rename or fill or message or allow_drop or make_empty or concurrently is not None:
            raise typer.BadParameter("--merge can only be combined with a feature, --check and --dry-run.")
        merged = _merge_branches(graph, graph.features if feature is None else [feature], writes=writes)
        raise typer.Exit(1 if check and merged else 0)
    choices = _make_choices(rename or [], fill or [], check=check, may_drop=allow_drop, may_ask=not no_input)
    settings = get_settings()
    database = direct_url(settings).kind
    if make_empty:
        if feature is None:
            raise OperatorError("--empty needs a feature: python3 oppman.py makemigrations FEATURE --empty")
        drafts = [new_migration.create_empty_migration(graph, feature, message)]
    else:
        drafts = draft_migrations(settings, graph, feature, message, choices)
    choices.refuse_unused()
    if concurrently or (concurrently is None and database == "postgresql"):
        drafts = [part for draft in drafts for part in new_migration.split_indexes(draft, message)]
    if not drafts:
        say("No changes detected")
        for line in find_unmigrated_models():
            warn(line)
    for draft in drafts:
        _write_draft(graph, draft, database, writes=writes)
    if check and drafts:
        raise typer.Exit(1)


def _write_draft(graph: MigrationGraph, draft: new_migration.NewMigration, database: str, *, writes: bool) -> None:
    """Write a migration and print its changes, with warnings about locks and compatibility."""
    path = graph.folder(draft.feature) / f"{draft.name}.py"
    if writes:
        graph.require_editable(draft.feature)
        path = new_migration.write_migration(MigrationGraph(installed_names()), draft)
    print(f"Migrations for '{draft.feature}':\n  {display_path(path)}")
    for change in draft.changes:
        print(f"    {change}")
    migrations = [read_migration(path)] if path.exists() else []
    locks = find_table_locks(migrations) if database == "postgresql" else ()
    for warning in (*locks, *find_incompatibilities(migrations, database)):
        warn(f"    ! {warning}")


def _merge_branches(graph: MigrationGraph, features: Sequence[str], *, writes: bool) -> Sequence[str]:
    """Write a merge migration for each feature with several latest migrations, and return these features."""
    split = [name for name in features if len(graph.heads(name)) > 1]
    if not split:
        say("No migrations to merge")
    for name in split:
        graph.require_editable(name)
        refuse_conflicts(graph, name)
        path = graph.folder(name) / f"{choose_merge_name(graph, name)}.py"
        if writes:
            path = write_merge(graph, name)
        heads = " and ".join(head.name for head in graph.heads(name))
        print(f"Migrations for '{name}':\n  {display_path(path)}\n    ~ Merge {heads}")
    return split


def draft_migrations(
    settings: Settings,
    graph: MigrationGraph,
    feature: str | None = None,
    message: str | None = None,
    choices: Choices | None = None,
) -> list[new_migration.NewMigration]:
    """Draft the missing migrations of one feature or all.

    If the database has unapplied migrations, only features without any migration are compared with it.
    """
    refuse_unowned_tables(graph.features, Model.metadata)
    features = graph.features if feature is None else [feature]
    for name in features:
        graph.newest(name)  # raises OperatorError before the database is used
    with autogenerate.comparison_database(settings, graph) as connection:
        missing = autogenerate.find_missing_migrations(connection, graph, features)
        compared = [name for name in features if not graph.migrations_of(name)] if missing else features
        comparison = autogenerate.ModelComparison(connection, graph, Model.metadata)
        changed = comparison.find_changed_features(compared)
        drafts = [comparison.draft(name, message, choices) for name in changed]
    changes = [draft for draft in drafts if draft.changes]
    if missing and not changes:
        names = ", ".join(map(str, missing))
        raise OperatorError(f"Models are compared with the database, which lacks {names}. Run `migrate` first.")
    if missing:
        names = ", ".join(draft.feature for draft in changes)
        warn(f"Compared only {names}, because other features have unapplied migrations. Run `migrate` to compare them.")
    return changes


def unmigrated_changes_warning(settings: Settings, graph: MigrationGraph) -> str | None:
    """Return a warning if models have changes without migrations, or None."""
    choices = Choices(may_drop=False)  # a dropped column may be a rename, about which makemigrations asks
    try:
        refuse_unowned_tables(graph.features, Model.metadata)
        if autogenerate.is_up_to_date(settings, graph):
            return None
        drafts = draft_migrations(settings, graph, choices=choices)
    except Exception as error:  # noqa: BLE001 - migrations run any code, which may need the rows of a database
        return f"makemigrations would fail: {error}"
    if not drafts:
        return None
    features = ", ".join(draft.feature for draft in drafts)
    return f"The models of {features} have changes without migrations. Run {OPPMAN} makemigrations."


def _make_choices(
    renames: Sequence[str], fills: Sequence[str], *, check: bool, may_drop: bool, may_ask: bool
) -> Choices:
    """Return the choices of the options, and on a terminal those of the user."""
    new_names = {old: new for old, new in parse_options(renames).items() if old and new}
    if len(new_names) < len(renames):
        raise typer.BadParameter("A rename is OLD=NEW, such as book.name=title, with each old name once.")
    choices = Choices(new_names, parse_options(fills), may_drop=may_drop or check)
    if check:
        choices.prompt = lambda _question: ""  # not needed for --check
    elif may_ask and sys.stdin.isatty():
        choices.confirm = typer.confirm
        choices.prompt = _ask_value
    return choices


def _ask_value(question: str) -> str:
    text = f"{question} Enter a value, or nothing to write code in the migration"
    return cast("str", typer.prompt(text, default="", show_default=False))
