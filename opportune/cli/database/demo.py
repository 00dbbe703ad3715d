"""Load or clear the demonstration data."""

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.cli.output import progress, say
from opportune.cli.transaction import in_transaction
from opportune.config.settings import get_settings
from opportune.errors import OperatorError
from opportune.i18n import use_language
from opportune.project.installed import installed_features

command = typer.Typer()


@command.command()
def load() -> None:
    """Add missing demonstration data."""
    if get_settings().is_production:
        raise OperatorError("Demonstration data cannot be loaded in production. Nothing was changed.")
    _print_counts("added", in_transaction(load_all))


@command.command()
def clear() -> None:
    """Delete the demonstration data."""
    _print_counts("deleted", in_transaction(_clear_all))


async def load_all(session: AsyncSession) -> dict[str, int]:
    """Add the missing demonstration data of all features, in the site's language, and return the number of rows."""
    demos = {feature.name: feature.data.demo for feature in installed_features() if feature.data.demo}
    rows: dict[str, int] = {}
    with progress("Loading the demonstration data", len(demos), "features") as bar:
        for name, demo in demos.items():
            with use_language(get_settings().language):
                rows[name] = await demo.load(session)
            bar.advance()
    return rows


async def _clear_all(session: AsyncSession) -> dict[str, int]:
    """Delete the demonstration data of all features, and return the number of rows by feature."""
    return {
        feature.name: await feature.data.demo.clear(session)
        for feature in reversed(installed_features())
        if feature.data.demo
    }


def _print_counts(action: str, rows: dict[str, int]) -> None:
    for name, count in rows.items():
        say(f"{name}: {count} {action}")
    if not rows:
        say("No installed feature has demonstration data.")
