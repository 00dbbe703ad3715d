from opportune.application import mount as mount

__all__ = ["mount"]

__version__: str
