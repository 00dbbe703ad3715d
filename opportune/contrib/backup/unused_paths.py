"""Paths for new files beside existing ones."""

import os
from itertools import chain, count
from pathlib import Path


def unused_path(path: Path, suffix: str = "") -> Path:
    """Return `path` with the suffix, or the first of `path-2`, `path-3` … with it that does not exist."""
    names = chain([path.name], (f"{path.name}-{number}" for number in count(2)))
    candidates = (path.with_name(name + suffix) for name in names)
    return next(candidate for candidate in candidates if not os.path.lexists(candidate))
