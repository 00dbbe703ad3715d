from opportune.testing.commands import oppman

__all__ = ["oppman"]
