"""Edits of `.env`: create it, add settings, rotate the SECRET_KEY."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from opportune.cli.project.first_env import FIRST_VALUES, KEY, first_env, generate_key
from opportune.config.base_settings import FILE_OWNER_HINT
from opportune.config.validated_settings import GENERATE_KEY_COMMAND
from opportune.errors import OperatorError
from opportune.project.current import OPPMAN
from opportune.project.env_values import quoted_if_needed
from opportune.project.text_files import line_break_of, write_text

FALLBACK_KEYS = "SECRET_KEY_FALLBACKS"


def write_env(path: Path) -> bool:
    """Create `.env`, or add a missing SECRET_KEY. Return True if the file changed."""
    with _report_errors(path, "read"):
        if not path.exists():
            create_env(path, first_env())
            return True
        if dotenv_values(path).get(KEY):
            return False
    with _report_errors(path), path.open("a", encoding="utf-8", newline=line_break_of(path)) as file:
        file.write(f"\n{KEY}={generate_key()}\n")
    return True


def create_env(path: Path, text: str) -> None:
    """Create the file, readable by the current user only."""
    with _report_errors(path):
        if path.exists():
            raise FileExistsError(path)
        write_text(path, text, is_private=True)


def add_to_env(path: Path, **values: str) -> None:
    """Append settings to the file, where they override earlier lines."""
    with _report_errors(path), path.open("a", encoding="utf-8", newline=line_break_of(path)) as file:
        start = "" if path.read_bytes()[-1:] in (b"", b"\n") else "\n"
        file.writelines([start, *(f"{name}='{value}'\n" for name, value in values.items())])


def with_first_values(example: str) -> str:
    """Return the text of `.env.example` with the values of a first `.env` and a new key."""
    for name, value in {**FIRST_VALUES, KEY: generate_key()}.items():
        example, count = re.subn(rf"^# ?{name}=.*$", f"{name}={value}", example, count=1, flags=re.MULTILINE)
        example += "" if count else f"\n{name}={value}\n"
    return example


def rotate_key(path: Path, *, keep: bool = True) -> int:
    """Write a new SECRET_KEY, and return the number of keys in SECRET_KEY_FALLBACKS.

    The old key moves there. With `keep=False` it is dropped, as are all older keys.
    """
    with _report_errors(path, "read"):
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    values = dotenv_values(stream=StringIO(text))
    old_key = values.get(KEY)
    if not old_key:
        raise OperatorError(f"{path.name} has no {KEY} to rotate. Make one: {GENERATE_KEY_COMMAND}")
    if keep and "," in old_key:
        raise OperatorError(
            f"{KEY} has a comma, which separates the keys of {FALLBACK_KEYS}, so it cannot be kept. "
            f"To make its signatures invalid, run: {OPPMAN} secrets rotate --stolen"
        )
    older_keys = [key.strip() for key in (values.get(FALLBACK_KEYS) or "").split(",") if key.strip()]
    fallbacks = [old_key, *older_keys] if keep else []
    new_lines = f"{KEY}={generate_key()}\n{FALLBACK_KEYS}={quoted_if_needed(','.join(fallbacks))}\n"
    lines = _replace_settings(text, (KEY, FALLBACK_KEYS), new_lines)
    with _report_errors(path):
        write_text(path, "".join(lines))
    return len(fallbacks)


def _replace_settings(text: str, names: Sequence[str], new_lines: str) -> Iterator[str]:
    """Yield the lines of the file. The first line that sets one of the names is replaced, others are omitted."""
    for binding in parse_stream(StringIO(text)):
        line = binding.original.string
        if binding.key not in names:
            yield line
        else:
            yield line[: len(line) - len(line.lstrip())] + new_lines  # keeps blank lines, which belong to the binding
            new_lines = ""


@contextmanager
def _report_errors(path: Path, action: str = "written") -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise OperatorError(
            f"{path.name} already exists and was not changed. For a new key run: python3 oppman.py secrets rotate"
        ) from None
    except UnicodeDecodeError:
        raise OperatorError(f"{path} is not encoded in UTF-8. Save it as UTF-8.") from None
    except OSError as error:
        advice = FILE_OWNER_HINT if os.access(path, os.F_OK) else "Make the folder writable."
        raise OperatorError(f"{path} cannot be {action} ({error.strerror}). {advice}") from error
