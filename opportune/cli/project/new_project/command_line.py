"""`oppman.py startproject`: what is asked for, whether it can be, and what to do next."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Never

from opportune.cli.project.new_project import build, history
from opportune.cli.project.new_project.examples import examples, named
from opportune.cli.project.new_project.names import folder_name, name_error, site_name
from opportune.cli.registry import reader_left
from opportune.cli.usage import no_such_option, wrong_usage
from opportune.config.project import PROJECT
from opportune.errors import OperatorError

PROGRAM = "oppman.py startproject"


class Wishes(NamedTuple):
    """What the command line asks for."""

    name: str
    folder: str
    examples: str | None
    here: bool
    no_input: bool


def main(arguments: Sequence[str]) -> int:
    """Make a project and give the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    try:
        with signals_as_interrupts():
            start(read(arguments))
    except SystemExit as wrong_usage:
        return int(wrong_usage.code or 0)
    except OperatorError as error:
        return fail(" ".join(str(error).split()), 1)
    except EOFError:
        return fail("Nobody answered: give the answer as an option (see --help).", 1)
    except BrokenPipeError:
        return reader_left()
    except KeyboardInterrupt:
        return fail("Stopped; nothing was changed.", 130)
    return 0


def fail(line: str, code: int) -> int:
    print("".join(mark if mark.isprintable() else "?" for mark in line), file=sys.stderr)
    return code


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> Never:
        self.exit(2, f"{wrong_usage(PROGRAM, message[:1].upper() + message[1:])}\n")


def read(arguments: Sequence[str]) -> Wishes:
    parser = Parser(
        PROGRAM,
        description="Begin a project of your own: the framework, the examples that you ask for, and a first commit.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n" + "\n".join(described(examples())),
        allow_abbrev=False,
    )
    parser.add_argument("name", metavar="NAME", help='the site\'s name, such as bookshelf or "Bücher & Co"')
    parser.add_argument("folder", metavar="DIR", nargs="?", default="", help="where it goes [default: a new folder]")
    parser.add_argument("--with", dest="examples", metavar="NAMES", help="examples, with commas; all, or none")
    parser.add_argument("--here", action="store_true", help="turn this clone itself into the project")
    parser.add_argument(
        *("--no-input", "--yes"),
        action="store_true",
        help="ask nothing: no examples without --with, and --here is confirmed",
    )
    wishes, unknown = parser.parse_known_intermixed_args(list(arguments))
    if option := next((each for each in unknown if each.startswith("-")), ""):
        parser.error(no_such_option(option.partition("=")[0], re.findall(r"--[\w-]+", parser.format_usage())))
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return Wishes(**vars(wishes))


def described(lines: dict[str, str]) -> list[str]:
    return [f"  {name.ljust(max(map(len, lines)))}  {line}" for name, line in lines.items()]


def start(wishes: Wishes) -> None:
    """Make the project that is asked for, or leave everything as it is."""
    build.require_starter()
    target = (PROJECT if wishes.here else folder_of(wishes)).resolve()
    slug = folder_name(wishes.name) or "project"
    if fault := name_error(wishes.name, slug):
        raise OperatorError(fault)
    try:
        refuse_here(wishes) if wishes.here else refuse_folder(target)
    except OSError as error:
        raise not_made(target, error) from error
    wanted = chosen_examples(wishes)
    if wishes.here and not wishes.no_input:
        confirm()
    try:
        note = build.make(target, site_name(wishes.name), slug, wanted)
    except OSError as error:
        raise not_made(target, error) from error
    tell(site_name(wishes.name), target, wanted, note)


def not_made(target: Path, error: OSError) -> OperatorError:
    return OperatorError(f"{target} cannot be made ({error.strerror or error}); nothing was changed.")


def folder_of(wishes: Wishes) -> Path:
    """Where the project goes: as told; else into a folder here, or beside the clone if that is here.

    Raises:
        OperatorError: no folder can be called like this site.
    """
    if wishes.folder:
        return Path(wishes.folder)
    if not (slug := folder_name(wishes.name)) and wishes.name.strip():
        raise OperatorError(f"Say what its folder is to be called: python3 {PROGRAM} NAME FOLDER")
    return (PROJECT.parent if Path.cwd().is_relative_to(PROJECT) else Path.cwd()) / slug


def refuse_folder(target: Path) -> None:
    """See to it that the project takes nobody's place.

    Raises:
        OperatorError: it would.
    """
    if target.is_relative_to(PROJECT):
        raise OperatorError(f"{target} is in the starter itself: choose a folder beside it, or --here.")
    if target.exists() and not target.is_dir():
        raise OperatorError(f"{target} is there, and no folder: choose another name.")
    if target.is_dir() and any(target.iterdir()):
        raise OperatorError(f"{target} is there, with things in it: choose another name, or an empty folder.")
    if not target.parent.is_dir():
        raise OperatorError(f"There is no folder {target.parent}: make it first, or choose another.")


def refuse_here(wishes: Wishes) -> None:
    """See to it that nothing is lost that nobody else has.

    Raises:
        OperatorError: something would be, or nobody can be asked.
    """
    if wishes.folder:
        raise OperatorError("Either --here or a folder, not both.")
    if fault := history.unsaved_work(PROJECT):
        raise OperatorError(f"{PROJECT} {fault}, or make the project elsewhere: python3 {PROGRAM} NAME FOLDER")
    if not wishes.no_input and not sys.stdin.isatty():
        raise OperatorError("--here replaces the starter in its own folder, and nobody can be asked: add --yes.")


def confirm() -> None:
    print(f"{PROJECT} becomes the project. The starter's history, docs, tests and benchmarks go; .env and data/ stay.")
    if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        raise KeyboardInterrupt


def chosen_examples(wishes: Wishes) -> list[str]:
    """Return the examples of --with, or those a user at a terminal selects; none if nothing may be asked."""
    if wishes.examples is not None:
        return named(wishes.examples)
    return asked() if sys.stdin.isatty() and not wishes.no_input else []


def asked() -> list[str]:
    print("Examples to begin with; removeapp deletes them again:")
    print("\n".join(described(examples())))
    while True:
        try:
            return named(input("Which? Names with commas, all, or Enter for none: "))
        except OperatorError as error:
            print(error)


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Let whoever ends this by a signal leave nothing behind, too."""

    def interrupt(*_: object) -> Never:
        raise KeyboardInterrupt

    kinds = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {kind: signal.signal(kind, interrupt) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def tell(title: str, target: Path, wanted: Sequence[str], note: str) -> None:
    examples = f"with {', '.join(wanted)}" if wanted else "without examples"
    print(f"{title} is in {target}, {examples}.")
    if note:
        print(note)
    print("Next:")
    way = target
    with suppress(ValueError, OSError):  # on another drive there is no way from here
        way = min(target, Path(os.path.relpath(target)), key=lambda path: len(str(path)))
    steps = [
        *([] if str(way) == "." else [f"cd {quoted(str(way))}"]),
        *(history.COMMIT_STEPS if note == history.NO_IDENTITY else ()),
        *(f"python3 oppman.py {word}" for word in ("quickstart", "test", "startapp NAME")),
    ]
    print("\n".join(f"  {step}" for step in steps))


def quoted(path: str) -> str:
    return f'"{path}"' if " " in path else path
