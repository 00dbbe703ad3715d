"""Changes of `.env`: a first file, its SECRET_KEY, and a newer key in place of an old one."""

import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from opportune.cli.project.first_env import FIRST_VALUES, KEY, first_env, new_key
from opportune.config.base_settings import FILE_OWNER_HINT
from opportune.errors import OperatorError
from opportune.runtime.atomic_files import replacement

OLDER_KEYS = "SECRET_KEY_FALLBACKS"


def write_env(path: Path) -> bool:
    """Make the file of settings, or add the key that it lacks; True if there was anything to write.

    Raises:
        OperatorError: it cannot be written.
    """
    try:
        if not path.exists():
            create_env(path, first_env())
            return True
        if dotenv_values(path).get(KEY):
            return False
    except UnicodeDecodeError:
        return False  # reading the settings tells of it
    except OSError as error:
        raise _unwritable(path, error) from error
    with _writing(path), path.open("a", encoding="utf-8") as file:
        file.write(f"\n{KEY}={new_key()}\n")
    return True


def create_env(path: Path, text: str) -> None:
    """Make the file, for this user alone.

    Raises:
        OperatorError: it is there, or cannot be written.
    """
    with _writing(path):
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(text, encoding="utf-8")


def add_to_env(path: Path, **values: str) -> None:
    """Add settings to the end of the file, where they win.

    Raises:
        OperatorError: it cannot be written.
    """
    with _writing(path), path.open("a", encoding="utf-8") as file:
        file.writelines(f"{name}='{value}'\n" for name, value in values.items())


def with_first_values(example: str) -> str:
    """The text of `.env.example` with the lines of a first `.env` uncommented, and a fresh key."""
    for name, value in {**FIRST_VALUES, KEY: new_key()}.items():
        example, found = re.subn(rf"^# ?{name}=.*$", f"{name}={value}", example, count=1, flags=re.MULTILINE)
        example += "" if found else f"\n{name}={value}\n"
    return example


def rotate_key(path: Path, *, keep: bool = True) -> int:
    """Put a new SECRET_KEY into the file and the old one in front of SECRET_KEY_FALLBACKS; give how many stand there.

    Without `keep` nothing stands there.

    Raises:
        OperatorError: the file has no key, or cannot be written.
    """
    with _writing(path):
        text = path.read_text(encoding="utf-8")
        values = dotenv_values(stream=StringIO(text))
        old = values.get(KEY)
        if not old:
            raise OperatorError(
                f"{path.name} has no {KEY} to rotate: python3 oppman.py env init, or quickstart, writes one."
            )
        older = [key for each in (values.get(OLDER_KEYS) or "").split(",") if (key := each.strip())]
        kept = [old, *older] if keep else []
        lines = _without(text, (KEY, OLDER_KEYS), f"{KEY}={new_key()}\n{OLDER_KEYS}={','.join(kept)}\n")
        with replacement(path.resolve()) as file:
            file.write("".join(lines).encode())
            _let_the_same_read(path, file.fileno())
    return len(kept)


def _without(text: str, names: Sequence[str], instead: str) -> Iterator[str]:
    """The file's lines, with others in the place of the first that sets one of these."""
    for binding in parse_stream(StringIO(text)):
        line = binding.original.string
        if binding.key not in names:
            yield line
        else:
            yield line[: len(line) - len(line.lstrip())] + instead  # the parser gives it the empty lines before it
            instead = ""


def _let_the_same_read(path: Path, descriptor: int) -> None:
    """Give a file owner and mode of the one that it replaces: root may do this for the site's user."""
    if sys.platform != "win32":
        old = path.stat()
        os.fchown(descriptor, old.st_uid, old.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise OperatorError(
            f"{path.name} is there already, and stays as it is. A new key: python3 oppman.py secrets rotate"
        ) from None
    except UnicodeDecodeError:
        raise OperatorError(f"{path} is no text in UTF-8: save it as such.") from None
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> OperatorError:
    advice = FILE_OWNER_HINT if path.exists() else "Make the folder writable."
    return OperatorError(f"{path} cannot be written ({error.strerror}). {advice}")
