"""What a known host does with the disk."""

import os
import tempfile
from pathlib import Path

from opportune.settings import HOST_VARIABLES

SHUTDOWN_SECONDS = {
    "FLY_APP_NAME": 5.0,
    "RENDER": 30.0,
    "RAILWAY_ENVIRONMENT": 0.0,
    "DYNO": 30.0,
    "K_SERVICE": 10.0,
    "KOYEB_APP_NAME": 30.0,
}
DOCKER_SHUTDOWN_SECONDS = 10.0


def is_ephemeral(folder: Path) -> bool:
    """Whether a known host throws away what is written there at the next deploy or restart."""
    return any(os.environ.get(name) for name in HOST_VARIABLES) and not _is_kept(folder.resolve())


def shutdown_seconds() -> float:
    """Seconds between the signal to stop and the end of the process, as the known hosts and Docker give by default."""
    return next((SHUTDOWN_SECONDS[name] for name in SHUTDOWN_SECONDS if os.environ.get(name)), DOCKER_SHUTDOWN_SECONDS)


def _is_kept(folder: Path) -> bool:
    """Whether a volume is mounted there: the disk that the container itself is on goes with the container."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    temporary = there.is_relative_to(Path(tempfile.gettempdir()).resolve())
    return not temporary and there.stat().st_dev != Path("/").stat().st_dev
