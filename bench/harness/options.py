"""Options of the benchmarks' command lines, and the exit status of a benchmark with limits."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence

ENOUGH_ROUNDS = 3
"""With fewer rounds nothing is judged."""
DATABASES = ("sqlite", "postgresql")


def new_parser(description: str | None, rounds: int, rounds_help: str | None = None) -> ArgumentParser:
    """Return a parser with the option --rounds, whose default is given."""
    parser = ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help=rounds_help)
    return parser


def new_databases_parser(description: str | None, rounds: int) -> ArgumentParser:
    """Return a parser with the options --rounds and --only, which selects databases for `selected_databases`."""
    parser = new_parser(description, rounds)
    parser.add_argument("--only", type=comma_separated(*DATABASES), default=[], help=", ".join(DATABASES))
    return parser


def selected_databases(options: Namespace) -> Sequence[str]:
    """Return the databases of --only. By default they are all, but one if too few rounds are run to judge them."""
    selected = [name for name in DATABASES if name in options.only]
    return selected or (DATABASES if options.rounds >= ENOUGH_ROUNDS else DATABASES[-1:])


def comma_separated(*names: str) -> Callable[[str], list[str]]:
    """Return a type for argparse: a list of these names, separated by commas."""

    def parse(value: str) -> list[str]:
        selected = value.split(",")
        if unknown := set(selected) - set(names):
            raise ArgumentTypeError(f"{', '.join(sorted(unknown))}: not one of {', '.join(names)}")
        return selected

    return parse


def comma_separated_numbers(value: str) -> list[int]:
    return [int(number) for number in value.split(",")]


def exit_status(failures: Sequence[str], *, is_judged: bool) -> int:
    """Print the failures of a benchmark with enough rounds, and return the exit status of the process."""
    if not is_judged:
        return 0
    for failure in failures:
        print(failure)
    return int(bool(failures))
