"""Apply or reverse migrations."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Annotated

import typer

from opportune.cli.database.makemigrations import unmigrated_changes_warning
from opportune.cli.output import say, show_work_progress, warn
from opportune.cli.terminal import is_terminal
from opportune.config.settings import Settings, get_settings
from opportune.db.migrations.adoption import compare_existing_tables
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import forget_revisions, read_revisions, read_revisions_of_site
from opportune.db.migrations.migration_file import Migration
from opportune.db.migrations.plans import Plan, Step, fake_steps, plan_migrations, refuse_newer
from opportune.db.migrations.recording import describe_planned_changes
from opportune.db.migrations.runner import run_migrations
from opportune.db.migrations.safety import find_incompatibilities, find_table_locks
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.project.current import OPPMAN
from opportune.project.installed import installed_names


def command(
    feature: Annotated[
        str | None, typer.Argument(help="Feature, applied with its dependencies. [default: all]")
    ] = None,
    target: Annotated[
        str | None, typer.Argument(help="Number or name of a migration, or `zero` to reverse all.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if migrations are missing.")] = False,
    fake: Annotated[bool, typer.Option("--fake", help="Record migrations as applied without running them.")] = False,
    fake_initial: Annotated[
        bool, typer.Option("--fake-initial", help="Record first migrations whose tables already exist.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Forget migrations of removed features. Keeps their tables.")
    ] = False,
) -> None:
    settings = get_settings()
    graph = MigrationGraph(installed_names())
    make_plan = plan_migrations(graph, feature, target)
    recorded = read_revisions_of_site(settings)
    warn_about_removed(graph, recorded)
    refuse_newer(graph, recorded)
    url = direct_url(settings)
    if plan or check:
        steps = make_plan(graph.applied(recorded))
        _print_plan(steps, url.kind, is_first=not recorded)
        raise typer.Exit(1 if check and steps else 0)
    if prune:
        _forget_removed(settings, graph)
        return
    if fake or fake_initial:
        # None fakes all steps.
        faked = None if fake else _find_adoptable(settings, make_plan(graph.applied(recorded)))
        make_plan = fake_steps(make_plan, faked)
    say("Operations to perform:")
    if url.kind == "sqlite" and not url.path.exists():  # possibly because of a mistake in DATABASE_URL
        say(f"  Create the database {url.path}{'' if url.path.parent.exists() else ', in a new folder'}")
    say(f"  {_describe_operations(graph, feature, target)}\nRunning migrations:")
    if not apply_plan(settings, graph, make_plan):
        say("  No migrations to apply.")
        is_complete = feature is None and settings.environment == "development"
        if is_complete and (warning := unmigrated_changes_warning(settings, graph)):
            warn(warning)


def _describe_operations(graph: MigrationGraph, feature: str | None, target: str | None) -> str:
    if feature is None or target is None:
        return f"Apply all migrations: {feature or ', '.join(filter(graph.migrations_of, graph.features))}"
    if target == "zero":
        return f"Unapply all migrations: {feature}"
    return f"Target specific migration: {graph.find(feature, target).name}, from {feature}"


def _print_plan(steps: Sequence[Step], database: str, *, is_first: bool) -> None:
    """Print the planned steps, with warnings if this is not a new database."""
    upgrades = [step.migration for step in steps if step.direction == "upgrade"]
    locks = find_table_locks(upgrades) if database == "postgresql" else ()
    problems = [] if is_first else find_incompatibilities(upgrades, database)
    incompatible = {problem.migration for problem in problems}
    print("Planned operations:")
    for step in steps:
        is_upgrade = step.direction == "upgrade"
        verb = "Apply" if is_upgrade else "Unapply"
        print(f"  {verb} {step.migration}")
        for change in describe_planned_changes(step.migration, step.direction, database):
            print(f"    {change}")
        for warning in (*locks, *problems):
            if warning.migration == step.migration:
                print(f"    ! {warning}")
        if is_upgrade and step.migration.safety_assured:
            print(f"    Compatible with the old version, by safety_assured: {step.migration.safety_assured}")
        elif is_upgrade and not is_first and step.migration not in incompatible:
            print("    Compatible with the old version.")
    if not steps:
        print("  No planned migration operations.")


def _find_adoptable(settings: Settings, steps: Sequence[Step]) -> list[Migration]:
    """Return the first migrations whose tables already exist. Warn about differences, and refuse harmful ones."""
    first_migrations = [step.migration for step in steps if step.direction == "upgrade" and not step.migration.follows]
    with connect(settings) as connection:
        comparisons = {migration: compare_existing_tables(connection, migration) for migration in first_migrations}
    # The result is None for a migration whose tables do not exist.
    existing = {migration: differences for migration, differences in comparisons.items() if differences is not None}
    all_differences = [*chain.from_iterable(existing.values())]
    for difference in all_differences:
        level = "error" if difference.is_harmful else "Notice"
        warn(f"{level}: {difference.text}.")
    if any(difference.is_harmful for difference in all_differences):
        raise OperatorError(
            "Nothing was adopted. Change the models and create the migration again, change the tables, or record the "
            "migration anyway: migrate FEATURE --fake"
        )
    return [*existing]


def _forget_removed(settings: Settings, graph: MigrationGraph) -> None:
    """Delete the records of migrations whose features are not installed."""
    with connect(settings) as connection, connection.begin():
        removed = graph.removed_revisions(read_revisions(connection))
        forget_revisions(connection, removed)
    say(f"Forgot {', '.join(removed)}." if removed else "There is nothing to forget.")


def apply_plan(settings: Settings, graph: MigrationGraph, plan: Plan) -> int:
    """Run the steps of a plan and print each. Return their number."""
    with connect(settings) as connection, show_work_progress():
        return run_migrations(connection, graph, plan, _print_step)


@contextmanager
def _print_step(step: Step) -> Iterator[None]:
    """Print a step while it runs, and its result."""
    verb = "Applying" if step.direction == "upgrade" else "Unapplying"
    line = f"  {verb} {step.migration}..."
    if not is_terminal():  # on a terminal this line has the progress bar
        say(line, end="")
        line = ""
    try:
        yield
    except BaseException:
        say(f"{line} FAILED")
        raise
    say(f"{line} FAKED" if step.is_faked else f"{line} OK")


def warn_about_removed(graph: MigrationGraph, recorded: Sequence[str]) -> None:
    """Warn about recorded migrations of features that are not installed."""
    if removed := graph.removed_revisions(recorded):
        warn(
            f"Notice: the database has migrations of features that are not installed: {', '.join(removed)}. "
            f"To forget these migrations and keep the tables: {OPPMAN} migrate --prune"
        )
