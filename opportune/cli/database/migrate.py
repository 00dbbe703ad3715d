"""Apply migrations, or go back to one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from opportune.cli.output import say, show_work_progress, warn
from opportune.cli.terminal import is_terminal
from opportune.config.project import installed_names
from opportune.config.settings import Settings, get_settings
from opportune.db.migrations.adoption import differences
from opportune.db.migrations.compatibility import incompatibilities
from opportune.db.migrations.connection import connect, migration_url
from opportune.db.migrations.graph import Migration, MigrationGraph
from opportune.db.migrations.history import forget_revisions, recorded_revisions, recorded_revisions_of
from opportune.db.migrations.locks import table_locks
from opportune.db.migrations.recording import planned_changes
from opportune.db.migrations.runner import faking, plan_for, refuse_newer, run_migrations
from opportune.errors import OperatorError

if TYPE_CHECKING:
    from opportune.db.migrations.runner import Plan, Step


def command(
    feature: Annotated[str | None, typer.Argument(help="Only this feature, and what it needs.")] = None,
    target: Annotated[str | None, typer.Argument(help="A number, a name, or `zero` for nothing at all.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if something would be done.")] = False,
    fake: Annotated[
        bool, typer.Option("--fake", help="Only record it: somebody has done by hand what it does.")
    ] = False,
    fake_initial: Annotated[
        bool, typer.Option("--fake-initial", help="Adopt tables that are there, if they are what a first one makes.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Forget what was applied of features that are gone; tables stay.")
    ] = False,
) -> None:
    settings = get_settings()
    graph = MigrationGraph(installed_names())
    plan_of = plan_for(graph, feature, target)
    rows = recorded_revisions_of(settings)
    tell_of_removed(graph, rows)
    refuse_newer(graph, rows)
    if plan or check:
        steps = plan_of(graph.applied(rows))
        show(steps, migration_url(settings).kind, is_first=not rows)
        raise typer.Exit(1 if check and steps else 0)
    if prune:
        forget_removed(settings, graph)
        return
    if fake or fake_initial:
        plan_of = faking(plan_of, None if fake else adopted(settings, plan_of(graph.applied(rows))))
    say(f"Operations to perform:\n  {operations(graph, feature, target)}\nRunning migrations:")
    if not apply_plan(settings, graph, plan_of):
        say("  No migrations to apply.")


def operations(graph: MigrationGraph, feature: str | None, target: str | None) -> str:
    if feature is None:
        return f"Apply all migrations: {', '.join(name for name in graph.features if graph.of(name))}"
    if target is None:
        return f"Apply all migrations: {feature}"
    if target == "zero":
        return f"Unapply all migrations: {feature}"
    return f"Target specific migration: {graph.find(feature, target).name}, from {feature}"


def show(steps: "Sequence[Step]", kind: str, *, is_first: bool) -> None:
    """Tell what is planned. Before the first migration there is no old version, nor anybody who waits."""
    ahead = [step.migration for step in steps if step.direction == "upgrade"]
    faults = [] if is_first else incompatibilities(ahead, kind)
    told = [*(table_locks(ahead) if kind == "postgresql" else ()), *faults]
    broken = {fault.migration for fault in faults}
    print("Planned operations:")
    for step in steps:
        print(f"  {'Apply' if step.direction == 'upgrade' else 'Unapply'} {step.migration}")
        for change in planned_changes(step.migration, step.direction, kind):
            print(f"    {change}")
        for each in told:
            if each.migration == step.migration:
                print(f"    ! {each}")
        if step.migration.safety_assured and step.migration in ahead:
            print(f"    The old version goes on working, says the migration: {step.migration.safety_assured}")
        elif step.migration in ahead and not is_first and step.migration not in broken:
            print("    The old version goes on working.")
    if not steps:
        print("  No planned migration operations.")


def adopted(settings: Settings, steps: "Sequence[Step]") -> list[Migration]:
    """The first migrations whose tables are there already and are what they would make.

    Raises:
        OperatorError: some are not; lines before it tell in what.
    """
    first = [step.migration for step in steps if step.direction == "upgrade" and not step.migration.follows]
    with connect(settings) as connection:
        compared = {migration: differences(connection, migration) for migration in first}
    found = [difference for each in compared.values() for difference in each or []]
    for difference in found:
        warn(f"{'error' if difference.is_harmful else 'Notice'}: {difference.text}.")
    if any(difference.is_harmful for difference in found):
        raise OperatorError(
            "Nothing was adopted: change the models and make that migration anew, change the tables, or, if you know "
            "better, migrate FEATURE --fake."
        )
    return [migration for migration, each in compared.items() if each is not None]


def forget_removed(settings: Settings, graph: MigrationGraph) -> None:
    with connect(settings) as connection, connection.begin():
        removed = graph.unknown(recorded_revisions(connection)).removed
        forget_revisions(connection, removed)
    say(f"Forgotten: {', '.join(removed)}." if removed else "Nothing to forget.")


def apply_plan(settings: Settings, graph: MigrationGraph, plan: "Plan") -> int:
    """Take the steps, telling of each, and return how many there were."""
    with connect(settings) as connection, show_work_progress():
        return run_migrations(connection, graph, plan, announced)


@contextmanager
def announced(step: "Step") -> Iterator[None]:
    verb = "Applying" if step.direction == "upgrade" else "Unapplying"
    line = f"  {verb} {step.migration}..."
    if not is_terminal():  # a log says what is under way; a terminal has the bar, on this line
        say(line, end="")
        line = ""
    try:
        yield
    except BaseException:
        say(f"{line} FAILED")
        raise
    say(f"{line} FAKED" if step.is_faked else f"{line} OK")


def tell_of_removed(graph: MigrationGraph, rows: Sequence[str]) -> None:
    if removed := graph.unknown(rows).removed:
        warn(
            f"Notice: the database has migrations of features that are not installed: {', '.join(removed)}. "
            "To keep their tables and forget that: python3 oppman.py migrate --prune"
        )
