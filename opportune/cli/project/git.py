"""Git as a program: what it says, and what it refuses as one line."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from opportune.errors import OperatorError

FAULT = re.compile(r"^(?:fatal|error): (.*?)(?=\n\n|\nPlease|\nAborting|\nhint|\Z)", re.MULTILINE | re.DOTALL)
"""Where git's words come to the point."""
PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_COMMON_DIR")
"""What git gives its hooks: it would let us work in another repository than we mean."""
PERMISSIONS = ("GIT_ALLOW_PROTOCOL",)
"""What would allow addresses that run commands, whatever our options say."""


class GitError(OperatorError):
    """What git refused, in its own words."""


@dataclass(frozen=True)
class Git:
    """Git in a folder."""

    folder: Path
    options: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    is_uninterruptible: bool = False
    """Whether Ctrl-C in a terminal does not reach it."""
    timeout_seconds: float | None = None
    """Of one command, where it asks others; those that only look at what is here have none."""

    def __call__(self, *arguments: str | Path, stdin: str = "", codes: Sequence[int] = (0,)) -> str:
        """What a command of git's says.

        Raises:
            GitError: it ended with another code than these.
        """
        result = self.run(*arguments, stdin=stdin)
        if result.returncode not in codes:
            words = os.fsdecode(result.stderr).strip()
            reason = FAULT.search(words)
            raise GitError(f"git {arguments[0]} failed: {reason[1] if reason else words or 'it says nothing'}")
        return os.fsdecode(result.stdout)

    def answers(self, *arguments: str | Path) -> bool:
        """Whether a command of git's ends well."""
        return self.run(*arguments).returncode == 0

    @property
    def environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name not in (*PLACES, *PERMISSIONS)}

    def run(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[bytes]:
        """What a command of git's says, and its code. Raises GitError if it takes too long."""
        if not (program := shutil.which("git")):
            raise GitError("git is not installed: install it (Debian: apt install git).")
        with subprocess.Popen(
            [program, *self.options, *arguments],
            cwd=self.folder,
            env={**self.environment, "LC_ALL": "C", **self.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=self.is_uninterruptible,
        ) as process:
            try:
                told = process.communicate(os.fsencode(stdin), self.timeout_seconds)
            except subprocess.TimeoutExpired:  # what git has started may hold the pipes: they are waited for no more
                raise GitError(f"git {arguments[0]} took longer than {self.timeout_seconds:g} seconds.") from None
            finally:
                process.kill()
            return subprocess.CompletedProcess(process.args, process.returncode, *told)
