"""Handing the process over to another program."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Never


def exec_process(command: list[str], environ: Mapping[str, str] | None = None) -> Never:
    """Go on as another program, with its exit code and its answers to signals.

    Raises:
        FileNotFoundError: there is no such program.
    """
    sys.stdout.flush()
    if sys.platform == "win32":  # where exec gives the prompt back before the program has ended
        sys.exit(subprocess.call(command, env=environ))  # noqa: S603 - callers name the program themselves
    os.execvpe(command[0], command, environ or os.environ)  # noqa: S606 - as above
