"""Compiled templates, stored in the environment, so that later processes need not compile them again."""

from contextlib import suppress
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket

from opportune.web.static.icons import source_files
from opportune.web.static.styles import SUFFIXES, state_of, stored_file


class CompiledTemplates(jinja2.FileSystemBytecodeCache):
    """Store of compiled templates, for a process whose code and templates do not change.

    They are valid for one version of all code, because Jinja applies filters to constants when it compiles a template.

    Args:
        pattern: Name of the files, with `%s`. Environments with different options need different ones.
    """

    def __init__(self, pattern: str) -> None:
        super().__init__(str(stored_file("templates")), pattern)
        compiler = jinja2.__file__
        self._state = state_of((*source_files(SUFFIXES), (compiler, Path(compiler).stat().st_mtime_ns)))

    def get_source_checksum(self, source: str) -> str:
        return super().get_source_checksum(self._state + source)

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(Exception):  # a damaged file, which is replaced
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):  # the environment is read-only, or the disk is full
            Path(self.directory).mkdir(parents=True, exist_ok=True)
            super().dump_bytecode(bucket)
