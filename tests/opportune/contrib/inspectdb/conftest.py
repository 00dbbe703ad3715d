"""Fixtures to run commands in a copy of the project."""

from tests.opportune.cli.conftest import files_before, run, shared_copy

__all__ = ["files_before", "run", "shared_copy"]
