"""What a known host does with the disk."""

import os
import tempfile
from pathlib import Path

from opportune.settings import HOST_VARIABLES


def is_ephemeral(folder: Path) -> bool:
    """Whether a known host throws away what is written there at the next deploy or restart."""
    return any(os.environ.get(name) for name in HOST_VARIABLES) and not _is_kept(folder.resolve())


def _is_kept(folder: Path) -> bool:
    """Whether a volume is mounted there: the disk that the container itself is on goes with the container."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    temporary = there.is_relative_to(Path(tempfile.gettempdir()).resolve())
    return not temporary and there.stat().st_dev != Path("/").stat().st_dev
