"""`migrate`: bring the database to the state of the code, or one feature to a migration of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import recorded_revisions_of
from opportune.db.migrations.runner import Plan, Step, plan_for, refuse_newer, run_migrations
from opportune.project import installed_names
from opportune.settings import Settings, get_settings


def command(
    feature: Annotated[str | None, typer.Argument(help="Only this feature, and what it needs.")] = None,
    target: Annotated[str | None, typer.Argument(help="A number, a name, or `zero` for nothing at all.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if something would be done.")] = False,
) -> None:
    settings = get_settings()
    graph = MigrationGraph(installed_names())
    plan_of = plan_for(graph, feature, target)
    rows = recorded_revisions_of(settings)
    tell_of_removed(graph, rows)
    refuse_newer(graph, rows)
    if plan or check:
        steps = plan_of(graph.applied(rows))
        show(steps)
        raise typer.Exit(1 if check and steps else 0)
    print(f"Operations to perform:\n  {operations(graph, feature, target)}\nRunning migrations:")
    if not carry_out(settings, graph, plan_of):
        print("  No migrations to apply.")


def operations(graph: MigrationGraph, feature: str | None, target: str | None) -> str:
    if feature is None:
        return f"Apply all migrations: {', '.join(name for name in graph.features if graph.of(name))}"
    if target is None:
        return f"Apply all migrations: {feature}"
    if target == "zero":
        return f"Unapply all migrations: {feature}"
    return f"Target specific migration: {graph.find(feature, target).name}, from {feature}"


def show(steps: Sequence[Step]) -> None:
    print("Planned operations:")
    for step in steps:
        print(f"  {'Apply' if step.direction == 'upgrade' else 'Unapply'} {step.migration}")
    if not steps:
        print("  No planned migration operations.")


def carry_out(settings: Settings, graph: MigrationGraph, plan: Plan) -> int:
    """Take the steps, telling of each, and return how many there were."""
    with connect(settings) as connection:
        return run_migrations(connection, graph, plan, announced)


@contextmanager
def announced(step: Step) -> Iterator[None]:
    verb = "Applying" if step.direction == "upgrade" else "Unapplying"
    print(f"  {verb} {step.migration}...", end="", flush=True)
    try:
        yield
    except BaseException:
        print(" FAILED")
        raise
    print(" OK")


def tell_of_removed(graph: MigrationGraph, rows: Sequence[str]) -> None:
    if removed := graph.unknown(rows).removed:
        typer.echo(
            f"Notice: the database has migrations of features that are not installed: {', '.join(removed)}.", err=True
        )
