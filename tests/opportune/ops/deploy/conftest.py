"""Commands run in this process."""

from opportune.testing.commands import oppman

__all__ = ["oppman"]
