"""Known hosts and their limits. Prices are in docs/deploy, because they change often.

If a host does not publish a value, this is a cautious guess with a comment.
"""

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

DOCKER_STOP_SECONDS = 10.0
"""Docker's default, also assumed for unknown hosts."""
RESERVED_STOP_SECONDS = 2
"""Part of the time after the stop signal for closing the database, after answers of language models have ended."""
SMTP_PORTS = (25, 465, 587)
MEBIBYTE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False, repr=False)  # halves the time to create the class
class Host:
    """A host with its defaults, on its smallest plan that can run a site. None means no limit."""

    name: str
    """Name for `oppman.py deploy`."""
    title: str
    variable: str = ""
    """Environment variable that the host sets, by which it is detected."""
    port: int = 8000
    """Value of PORT, or the default without it."""
    client_address_header: str = ""
    """Header that the host overwrites with the visitor's address. Empty: X-Forwarded-For, to which hosts append."""
    keeps_disk: bool = False
    """Whether files survive deploys and restarts, without an added volume."""
    writable_folders: tuple[str, ...] = ()
    """The only writable folders. Empty: all folders of the user."""
    stream_idle_seconds: float | None = None
    """Seconds without data after which the host closes a stream."""
    stream_total_seconds: float | None = None
    """Seconds after which the host closes any response."""
    max_request_bytes: int | None = None
    memory_bytes: int | None = 512 * MEBIBYTE_BYTES
    """Memory of the smallest machine."""
    cpu_cores: float | None = 1
    """CPU cores of the smallest machine."""
    stop_signal: str = "SIGTERM"
    stop_seconds: float = DOCKER_STOP_SECONDS
    """Seconds between the stop signal and the end of the process."""
    sleeps_after_seconds: float | None = None
    """Seconds without a request after which the host stops the process."""
    runs_between_requests: bool = True
    """False if the host freezes the process between requests."""
    blocked_ports: tuple[int, ...] = ()
    """Ports of other servers that the host blocks."""
    open_ports: tuple[int, ...] = ()
    """The only ports of other servers that the host allows. Empty: all except `blocked_ports`."""
    max_environment_bytes: int | None = None
    """Maximum size of all environment variables."""
    health_path: str = "/health/live"
    """Path of the health check."""


LEAPCELL = Host(
    "leapcell",
    "Leapcell (serverless, free)",
    "LEAPCELL",
    port=8080,
    writable_folders=("/tmp",),  # noqa: S108 - no file is created here
    stream_total_seconds=900,
    max_request_bytes=5 * MEBIBYTE_BYTES,
    cpu_cores=0.29,  # proportional to memory: 1769 MB give a whole core
    sleeps_after_seconds=1800,
    runs_between_requests=False,
    max_environment_bytes=3 * 1024,
    health_path="/kaithhealth",
)
KNOWN_HOSTS = (
    Host(
        "fly",
        "Fly.io",
        "FLY_APP_NAME",
        port=8080,
        client_address_header="Fly-Client-IP",  # the last entry of its X-Forwarded-For is the site's address
        stream_idle_seconds=60,
        memory_bytes=256 * MEBIBYTE_BYTES,
        cpu_cores=1,  # shared: a sixteenth on average
        stop_signal="SIGINT",
        stop_seconds=5,
        sleeps_after_seconds=300,  # with auto_stop_machines, checked every few minutes
    ),
    Host(
        "render",
        "Render",
        "RENDER",
        port=10000,
        client_address_header="CF-Connecting-IP",
        stream_total_seconds=6000,  # estimated
        cpu_cores=0.1,
        stop_seconds=30,
        sleeps_after_seconds=900,
        blocked_ports=SMTP_PORTS,
    ),
    Host(
        "railway",
        "Railway",
        "RAILWAY_ENVIRONMENT",
        port=8080,
        client_address_header="X-Real-IP",
        stream_total_seconds=900,
        stop_seconds=0,
        blocked_ports=SMTP_PORTS,
        health_path="/health/ready",  # only checked at deploys
    ),
    LEAPCELL,
    replace(
        LEAPCELL,
        name="leapcell-persistent",
        title="Leapcell (persistent, paid)",
        sleeps_after_seconds=None,
        runs_between_requests=True,
    ),
    Host(
        "koyeb",
        "Koyeb",
        "KOYEB_APP_NAME",
        stream_total_seconds=100,  # estimated
        cpu_cores=0.1,
        stop_seconds=30,
        sleeps_after_seconds=3600,
        blocked_ports=SMTP_PORTS,  # estimated for the free plan
    ),
    Host(
        "heroku",
        "Heroku (Procfile)",
        "DYNO",
        port=5000,  # a different one at each start
        stream_idle_seconds=55,
        stop_seconds=30,
        sleeps_after_seconds=1800,
        blocked_ports=(25,),
        max_environment_bytes=32 * 1024,
    ),
    Host(
        "cloudrun",
        "Google Cloud Run",
        "K_SERVICE",
        port=8080,
        stream_total_seconds=300,
        max_request_bytes=32 * MEBIBYTE_BYTES,
        memory_bytes=512 * MEBIBYTE_BYTES,  # includes written files
        sleeps_after_seconds=900,
        runs_between_requests=False,
        blocked_ports=(25,),
    ),
    Host(
        "huggingface",
        "Hugging Face Spaces",
        "SPACE_ID",
        port=8000,  # app_port in the README of the Space; by default 7860
        memory_bytes=16 * 1024 * MEBIBYTE_BYTES,
        cpu_cores=2,
        sleeps_after_seconds=48 * 3600,
        open_ports=(80, 443, 8080),
    ),
    Host(  # publishes no limits, so all of these are estimated
        "fastapicloud",
        "FastAPI Cloud",
        stream_total_seconds=300,
        cpu_cores=0.25,
        sleeps_after_seconds=300,
        runs_between_requests=False,
        blocked_ports=SMTP_PORTS,
    ),
    Host(
        "linux",
        "Linux (systemd)",
        keeps_disk=True,
        stop_seconds=30,  # set in the unit file
        blocked_ports=SMTP_PORTS,  # of a droplet; other providers block port 25 or none
    ),
    Host("compose", "Docker Compose", keeps_disk=True, memory_bytes=None, cpu_cores=None, stop_seconds=30),
    Host("kubernetes", "Kubernetes", memory_bytes=None, cpu_cores=None, stop_seconds=30),
)
BASE_URLS = {
    "RENDER_EXTERNAL_URL": "{}",
    "RAILWAY_PUBLIC_DOMAIN": "https://{}",
    "KOYEB_PUBLIC_DOMAIN": "https://{}",
    "SPACE_HOST": "https://{}",
    "FLY_APP_NAME": "https://{}.fly.dev",
}
"""Public addresses of sites by the variables with which hosts announce them."""
HOSTS = {host.name: host for host in KNOWN_HOSTS}
HOST_VARIABLES = (*dict.fromkeys(host.variable for host in HOSTS.values() if host.variable), "VERCEL")
"""Environment variables of known hosts. If one is set, the environment is production."""


def current_host() -> Host | None:
    """Detect the host from the environment."""
    return next((host for host in HOSTS.values() if host.variable and os.environ.get(host.variable)), None)


def is_on_host() -> bool:
    """Return whether this process runs on a known host, including hosts without an entry in `HOSTS`."""
    return any(os.environ.get(name) for name in HOST_VARIABLES)


def base_url_from_host() -> str:
    """Return the public address from the host's variables, or an empty string."""
    for variable, url in BASE_URLS.items():
        if value := os.environ.get(variable):
            return url.format(value)
    return ""


def client_address_header_from_host() -> str:
    """Return the host's header with the visitor's address, or an empty string."""
    host = current_host()
    return host.client_address_header if host else ""


def is_ephemeral(folder: Path) -> bool:
    """Return whether the host deletes this folder at the next deploy or restart."""
    return is_on_host() and not _is_on_volume(folder.resolve())


def shutdown_seconds() -> float:
    """Return the seconds between the stop signal and the end of the process."""
    host = current_host()
    return host.stop_seconds if host else DOCKER_STOP_SECONDS


def _is_on_volume(folder: Path) -> bool:
    """Return whether the folder is on a mounted volume. The disk of the container is deleted with the container."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    is_temporary = existing.is_relative_to(Path(tempfile.gettempdir()).resolve())
    return not is_temporary and existing.stat().st_dev != Path("/").stat().st_dev
