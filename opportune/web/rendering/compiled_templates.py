"""Templates that are compiled, kept where Python keeps compiled modules: the next start reads them."""

import sys
from contextlib import suppress
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket, FileSystemBytecodeCache

from opportune.project import PACKAGE, PROJECT

FOLDER = PROJECT / PACKAGE / "__pycache__/templates"


class CompiledTemplates(FileSystemBytecodeCache):
    """A file for each template, which says what text it was made of. Where nothing can be written there is none."""

    def __init__(self, folder: Path = FOLDER) -> None:
        super().__init__(str(folder), f"%s.{jinja2.__version__}")

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        if not sys.dont_write_bytecode:
            with suppress(OSError):
                Path(self.directory).mkdir(parents=True, exist_ok=True)
                super().dump_bytecode(bucket)
