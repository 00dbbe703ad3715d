"""Fixtures to run commands of features."""

from opportune.testing.commands import oppman

__all__ = ["oppman"]
