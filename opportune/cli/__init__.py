"""The management command. Only the standard library is imported here: `oppman.py` runs before anything is installed."""

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
    """Run a command of `oppman.py` from code, and return what it prints: `call_command("migrate", "books", plan=True)`.

    An option has its long name; several values of one are a list. It runs in this process, under `settings` if they are
    given, and an event loop that calls it stands still until it is done: `await asyncio.to_thread(call_command, …)`
    lets others go on there. What is printed meanwhile elsewhere in the process is part of what it returns.

    Raises:
        CommandError: it failed, it would have ended with another exit code than 0, or there is no such command.
        TypeError: the command has no option of that name.
    """
    from opportune.cli.call import call  # noqa: PLC0415 - see above

    return call(name, arguments, settings, options)
