"""Private temporary folders."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from opportune.errors import OperatorError
from opportune.project.atomic_files import private_folder

PREFIX = "opportune-backup-"
NO_DISK = "The folder for temporary files is not writable ({reason}): set TMPDIR to a writable folder."


@contextmanager
def scratch_folder(prefix: str = PREFIX, no_disk: str = NO_DISK) -> Iterator[Path]:
    """Create a private temporary folder for the block."""
    with ExitStack() as stack:
        try:
            path = stack.enter_context(private_folder(prefix))
        except OSError as error:
            raise OperatorError(no_disk.format(reason=error.strerror or error)) from None
        yield path
