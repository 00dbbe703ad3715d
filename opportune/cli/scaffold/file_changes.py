"""Several files that are written all, or none of them."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from opportune.errors import OperatorError


@contextmanager
def written(texts: Mapping[Path, str], folder: Path, gone: Sequence[Path] = ()) -> Iterator[None]:
    """Write these files, and delete others; where that, or the block, fails or is interrupted, all is as it was before.

    The block may add files to the folder.

    Raises:
        OperatorError: a file cannot be written.
    """
    before = {path: path.read_bytes() if path.is_file() else None for path in (*texts, *gone)}
    parents = [each for path in (*texts, folder / "new") for each in path.parents if not each.exists()]
    there = {*folder.glob("*")}
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            newline = "\r\n" if b"\r\n" in (before[path] or b"") else "\n"
            path.write_text(text, encoding="utf-8", newline=newline)
        for path in gone:
            path.unlink()
        yield
    except BaseException as error:
        _put_back(before | dict.fromkeys({*folder.glob("*.py")} - there), parents)
        if isinstance(error, OSError):
            raise OperatorError(
                f"{error.filename} cannot be written ({error.strerror}); nothing was changed."
            ) from error
        raise


def _put_back(before: Mapping[Path, bytes | None], folders: list[Path]) -> None:
    for path, content in before.items():
        if content is not None:
            # A file that could not be written cannot be written back, nor need it be.
            if not path.is_file() or path.read_bytes() != content:
                path.write_bytes(content)
        elif path.parent.is_dir():
            path.unlink(missing_ok=True)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
