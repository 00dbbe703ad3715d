"""Management commands. Imports only the standard library, because `oppman.py` runs before packages are installed."""

from typing import TYPE_CHECKING, Any

from opportune.runtime.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from opportune.cli.output import print_json, print_table, progress, say, warn
    from opportune.cli.transaction import in_transaction
    from opportune.config.settings import Settings

__all__ = ["call_command", "in_transaction", "print_json", "print_table", "progress", "say", "warn"]


__getattr__ = lazy_exports(
    __name__,
    {".output": ("print_json", "print_table", "progress", "say", "warn"), ".transaction": ("in_transaction",)},
)


def call_command(name: str, *arguments: object, settings: "Settings | None" = None, **options: Any) -> str:
    """Run a command of `oppman.py` in this process.

    The call blocks. In an event loop write `await asyncio.to_thread(call_command, …)`.

    Args:
        name: Name of the command.
        arguments: Positional arguments.
        settings: Settings of the command. Default: those of the process.
        options: Options by their long name. An option with several values takes a list.

    Returns:
        The standard output of the process while the command ran.

    Raises:
        CommandError: the command failed, had another exit code than 0, or does not exist.
        TypeError: the command has no option of that name.

    Example:
        `call_command("migrate", "books", plan=True)`
    """
    from opportune.cli.call import call  # noqa: PLC0415 - see above

    return call(name, arguments, settings, options)
