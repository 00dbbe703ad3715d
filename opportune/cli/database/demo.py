"""Load or clear the demonstration data."""

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.cli.output import progress, say
from opportune.cli.transaction import in_transaction
from opportune.config.project import installed_features
from opportune.config.settings import get_settings
from opportune.errors import OperatorError

command = typer.Typer()


@command.command()
def load() -> None:
    """Add the demonstration data that is missing."""
    if get_settings().is_production:
        raise OperatorError("Demonstration data is not for production: nothing was loaded.")
    report("added", in_transaction(load_all))


@command.command()
def clear() -> None:
    """Remove the demonstration data and nothing else."""
    report("removed", in_transaction(clear_all))


async def load_all(session: AsyncSession) -> dict[str, int]:
    """Let every feature add what its demo lacks: the number of rows by feature."""
    demos = {feature.name: feature.demo for feature in installed_features() if feature.demo}
    rows: dict[str, int] = {}
    with progress("Loading the demonstration data", len(demos), "features") as bar:
        for name, demo in demos.items():
            rows[name] = await demo.load(session)
            bar.advance()
    return rows


async def clear_all(session: AsyncSession) -> dict[str, int]:
    """Let every feature remove its demo: the number of rows by feature."""
    return {
        feature.name: await feature.demo.clear(session) for feature in reversed(installed_features()) if feature.demo
    }


def report(done: str, rows: dict[str, int]) -> None:
    for name, number in rows.items():
        say(f"{name}: {number} {done}")
    if not rows:
        say("No installed feature has demonstration data.")
