"""Options of the benchmarks' command lines, and the exit status of a benchmark with limits."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

ENOUGH_ROUNDS = 3
"""With fewer rounds nothing is judged."""
DATABASES = ("sqlite", "postgresql")


class BenchmarkParser(ArgumentParser):
    """Parser with the option --rounds. With too few rounds, a benchmark is short and judges nothing."""

    def __init__(self, description: str | None, rounds: int, rounds_help: str | None = None) -> None:
        super().__init__(description=description, formatter_class=RawDescriptionHelpFormatter)
        self.add_argument("--rounds", type=int, default=rounds, help=rounds_help)
        self._sizes: dict[str, tuple[Any, Any]] = {}

    def add_names(self, option: str, names: Sequence[str], default: Sequence[str] = ()) -> None:
        """Add an option with some of these names, separated by commas."""
        self.add_argument(option, type=comma_separated(*names), default=[*default], help=", ".join(names))

    def add_databases(self, *more: str) -> None:
        """Add the option --only, which selects databases for `selected_databases`, and also takes other names."""
        self.add_names("--only", (*DATABASES, *more))

    def add_size(self, name: str, size: Any, test_size: Any, **options: Any) -> None:
        """Add an option whose default depends on whether the benchmark is judged."""
        self.add_argument(f"--{name}", **{"type": int, **options})
        self._sizes[name] = size, test_size

    def read(self) -> Namespace:
        """Return the options, and `is_judged`: whether there are enough rounds."""
        options = self.parse_args()
        options.is_judged = options.rounds >= ENOUGH_ROUNDS
        for name, (size, test_size) in self._sizes.items():
            if getattr(options, name) is None:
                setattr(options, name, size if options.is_judged else test_size)
        for name in ("rounds", *self._sizes):
            value = getattr(options, name)
            if not all(number > 0 for number in (value if isinstance(value, Sequence) else [value])):
                self.error(f"--{name} must be greater than 0")
        return options


def selected_databases(options: Namespace) -> Sequence[str]:
    """Return the databases of --only. By default they are all, but SQLite if too few rounds are run to judge them."""
    selected = [name for name in DATABASES if name in options.only]
    return selected or (DATABASES if options.is_judged else DATABASES[:1])


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


def exit_status(failures: Iterable[str], options: Namespace) -> int:
    """Print the failures of a benchmark with enough rounds, and return the exit status of the process."""
    lines = [*failures] if options.is_judged else []
    for line in lines:
        print(line)
    return int(bool(lines))
