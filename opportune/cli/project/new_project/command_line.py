"""Command line of `oppman.py startproject`: arguments, checks, questions and next steps."""

import argparse
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Never

from opportune.cli.process import signals_as_interrupts
from opportune.cli.project.git import COMMIT_STEPS, NO_IDENTITY
from opportune.cli.project.new_project import build, choices
from opportune.cli.project.shared_files import STARTER_ROOT, ProjectNames
from opportune.cli.registry import NO_ANSWER, empty_value, handle_output_error, no_such_option, wrong_usage
from opportune.cli.terminal import printable
from opportune.config.themes import THEMES
from opportune.errors import OperatorError


class Arguments(NamedTuple):
    name: str
    folder: str
    examples: str | None
    no_input: bool
    theme: str
    language: str


def main(arguments: Sequence[str], *, needs_clone: bool = True) -> int:
    """Create a project and return the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    stopped = "Stopped. Nothing was changed."
    try:
        with signals_as_interrupts():
            if needs_clone:
                build.require_starter()
            summary = _start_project(_parse_arguments(arguments))
            stopped = "Stopped. The project is complete."
            print(*summary, sep="\n", flush=True)
    except SystemExit as usage_error:
        return int(usage_error.code or 0)
    except OperatorError as error:
        return _print_error(" ".join(str(error).split()), 1)
    except EOFError:
        return _print_error(NO_ANSWER, 1)
    except OSError as error:
        if error.filename:  # without one, it is an error of the output
            raise
        return handle_output_error(error)
    except KeyboardInterrupt:
        return _print_error(stopped, 130)
    return 0


def _print_error(line: str, code: int) -> int:
    print(printable(line), file=sys.stderr)
    return code


class Parser(argparse.ArgumentParser):
    """Parser that reports errors in one line."""

    def error(self, message: str) -> Never:
        self.exit(2, f"{wrong_usage(choices.PROGRAM, message[:1].upper() + message[1:])}\n")


def _parse_arguments(arguments: Sequence[str]) -> Arguments:
    parser = Parser(
        choices.PROGRAM,
        description="Create a project with the framework, the examples that you select and a first commit.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n" + "\n".join(_two_columns(choices.examples())),
        allow_abbrev=False,
    )
    parser.add_argument("name", metavar="NAME", help='name of the site, such as bookshelf or "Bücher & Co"')
    parser.add_argument(
        "folder", metavar="DIR", nargs="?", default="", help="folder of the project [default: a new folder]"
    )
    parser.add_argument(
        "--with", dest="examples", metavar="NAMES", help="examples, separated by commas; or all, or none"
    )
    parser.add_argument("--theme", choices=THEMES, default="", help="colours, corners and density [default: azure]")
    parser.add_argument("--language", default="", help="code of the site's language, such as de [default: en]")
    parser.add_argument(
        "--no-input", "--yes", action="store_true", help="ask no questions: use no examples without --with"
    )
    namespace, unknown = parser.parse_known_intermixed_args(list(arguments))
    if option := next((word for word in unknown if word.startswith("-")), ""):
        parser.error(no_such_option(option.partition("=")[0], re.findall(r"--[\w-]+", parser.format_usage())))
    if message := f"unrecognized arguments: {' '.join(unknown)}" if unknown else empty_value(arguments):
        parser.error(message)
    return Arguments(**vars(namespace))


def _two_columns(lines: dict[str, str]) -> list[str]:
    return [f"  {name.ljust(max(map(len, lines)))}  {line}" for name, line in lines.items()]


def _start_project(arguments: Arguments) -> list[str]:
    """Create the project, or change nothing. Return the lines to print."""
    target = _target_folder(arguments).resolve()
    slug = choices.folder_name(arguments.name) or "project"
    if message := choices.name_error(arguments.name, slug):
        raise OperatorError(message)
    with _explained_write_errors(target):
        _refuse_folder(target)
    language = choices.require_offered_language(arguments.language) if arguments.language else ""
    selected = _selected_examples(arguments)
    names = ProjectNames(choices.site_name(arguments.name), slug)
    with _explained_write_errors(target):
        note = build.create_project(target, names, selected, arguments.theme, language)
    lines = choices.describe_language(language) if language else ()
    return _summary_lines(names.title, target, selected, note, lines)


@contextmanager
def _explained_write_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise OperatorError(f"{target} cannot be written ({reason}). Nothing was changed.") from error


def _target_folder(arguments: Arguments) -> Path:
    """Return the folder of the project, by default in the current folder, or beside the clone when run inside it."""
    if arguments.folder:
        return Path(arguments.folder)
    slug = choices.folder_name(arguments.name)
    if not slug and arguments.name.strip():
        raise OperatorError(f"The name has no letters for a folder name. Add a folder: {choices.CALL} NAME FOLDER")
    parent = STARTER_ROOT.parent if Path.cwd().is_relative_to(STARTER_ROOT) else Path.cwd()
    return parent / slug


def _refuse_folder(target: Path) -> None:
    """Check that the project can be created in this folder."""
    if target.is_relative_to(STARTER_ROOT):
        raise OperatorError(f"{target} is inside the starter. Choose a folder outside.")
    if target.exists() and not target.is_dir():
        raise OperatorError(f"{target} is a file. Choose another name.")
    if target.is_dir() and any(target.iterdir()):
        raise OperatorError(f"{target} is not empty. Choose another name or an empty folder.")
    if not target.parent.is_dir():
        raise OperatorError(f"There is no folder {target.parent}. Create it, or choose another folder.")


def _selected_examples(arguments: Arguments) -> list[str]:
    """Return the examples of --with, or ask for them at a terminal."""
    if arguments.examples is not None:
        return choices.parse_example_names(arguments.examples)
    return _prompt_examples() if sys.stdin.isatty() and not arguments.no_input else []


def _prompt_examples() -> list[str]:
    print("Examples to start with (you can delete them later with removeapp):")
    print("\n".join(_two_columns(choices.examples())))
    while True:
        try:
            return choices.parse_example_names(input("Names separated by commas, all, or Enter for none: "))
        except OperatorError as error:
            print(error)


def _summary_lines(title: str, target: Path, selected: Sequence[str], note: str, lines: Iterable[str]) -> list[str]:
    examples = f"with {', '.join(selected)}" if selected else "without examples"
    path = _short_path(target)
    steps = [f'cd "{path}"' if " " in path else f"cd {path}"] if path != "." else []
    if note == NO_IDENTITY:
        steps += COMMIT_STEPS
    steps += [f"python3 oppman.py {word}" for word in ("quickstart", "test", "startapp NAME")]
    notes = [note] if note else []
    return [f"Created {title} in {target}, {examples}.", *lines, *notes, "Next:", *(f"  {step}" for step in steps)]


def _short_path(target: Path) -> str:
    """Return the path, relative to the current folder if that is shorter."""
    with suppress(ValueError, OSError):  # on Windows, another drive has no relative path
        return min(str(target), os.path.relpath(target), key=len)
    return str(target)
