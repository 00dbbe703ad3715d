"""The hosts that this program knows, and what each does to it. Prices are in docs/deploy: they change too often.

Where a host publishes no value, a cautious guess is used, with a comment.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

DOCKER_STOP_SECONDS = 10.0
"""Docker's default, also assumed for unknown hosts."""
SMTP_PORTS = (25, 465, 587)
MEBIBYTE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False, repr=False)  # which nobody compares nor shows: half the time
class Host:
    """A host as it is by default, on the smallest of its plans that a site can start on. None: no such limit."""

    name: str
    """What `oppman.py deploy` calls it."""
    title: str
    variable: str = ""
    """What it sets by itself in the environment, and by which it is recognised."""
    port: int = 8000
    """What it gives in PORT, or in its place."""
    client_address_header: str = ""
    """Header that the host overwrites with the visitor's address. Empty: X-Forwarded-For, to which hosts append."""
    forwards_proto: bool = True
    """Whether the host sends the scheme of the request as X-Forwarded-Proto."""
    is_tls_ended_before: bool = True
    """Whether a proxy of its own stands in front and ends TLS."""
    keeps_disk: bool = False
    """Whether what is written is there after the next deploy or restart; a volume may be added to some."""
    writable_folders: tuple[str, ...] = ()
    """The only folders that may be written to. Empty: all that the program's user owns."""
    has_shell: bool = False
    stream_idle_seconds: float | None = None
    """Seconds of silence after which it cuts a stream."""
    stream_total_seconds: float | None = None
    """Seconds after which it cuts any answer."""
    max_request_bytes: int | None = None
    memory_bytes: int | None = None
    """The memory of the smallest machine."""
    cpu_cores: float | None = None
    """The cores of that machine."""
    stop_signal: str = "SIGTERM"
    stop_seconds: float = DOCKER_STOP_SECONDS
    """Seconds between that signal and the end of the process."""
    sleeps_after_seconds: float | None = None
    """Seconds without a visitor after which it stops the process."""
    wake_seconds: float = 0.0
    """Seconds that a visitor waits for it to be started again, beside the program's own start."""
    runs_between_requests: bool = True
    """False: while no request is being answered, nothing runs."""
    blocked_ports: tuple[int, ...] = ()
    """Ports elsewhere that it lets nobody connect to."""
    open_ports: tuple[int, ...] = ()
    """The only ports elsewhere that may be connected to. Empty: all but `blocked_ports`."""
    max_environment_bytes: int | None = None
    """What all variables may have together."""
    health_path: str = "/health/live"
    """What it asks whether the process answers."""
    release_hook: bool = False
    """Whether it runs a command, such as `migrate`, before a new version takes the place of the old."""


FLY = Host(
    "fly",
    "Fly.io",
    "FLY_APP_NAME",
    port=8080,
    client_address_header="Fly-Client-IP",  # the last of its X-Forwarded-For is the site's own address
    has_shell=True,
    stream_idle_seconds=60,
    memory_bytes=256 * MEBIBYTE_BYTES,
    cpu_cores=1,  # shared: a sixteenth of it in the long run
    stop_signal="SIGINT",
    stop_seconds=5,
    sleeps_after_seconds=300,  # with auto_stop_machines; looked at every few minutes
    wake_seconds=3,
    release_hook=True,
)
RENDER = Host(
    "render",
    "Render",
    "RENDER",
    port=10000,
    client_address_header="CF-Connecting-IP",
    stream_total_seconds=6000,  # not published as such
    memory_bytes=512 * MEBIBYTE_BYTES,
    cpu_cores=0.1,
    stop_seconds=30,
    sleeps_after_seconds=900,
    wake_seconds=60,
    blocked_ports=SMTP_PORTS,
)
RAILWAY = Host(
    "railway",
    "Railway",
    "RAILWAY_ENVIRONMENT",
    port=8080,
    client_address_header="X-Real-IP",
    has_shell=True,
    stream_total_seconds=900,
    memory_bytes=512 * MEBIBYTE_BYTES,
    cpu_cores=1,
    stop_seconds=0,
    blocked_ports=SMTP_PORTS,
    health_path="/health/ready",  # asked at a deploy alone
    release_hook=True,
)
LEAPCELL = Host(
    "leapcell",
    "Leapcell (serverless, free)",
    "LEAPCELL",
    port=8080,
    writable_folders=("/tmp",),  # noqa: S108 - the one that it has
    stream_total_seconds=900,
    max_request_bytes=5 * MEBIBYTE_BYTES,
    memory_bytes=512 * MEBIBYTE_BYTES,
    cpu_cores=0.29,  # follows the memory: 1769 MB have a whole one
    sleeps_after_seconds=1800,
    wake_seconds=0.25,
    runs_between_requests=False,
    max_environment_bytes=3 * 1024,
    health_path="/kaithhealth",
)
LEAPCELL_PERSISTENT = Host(
    "leapcell-persistent",
    "Leapcell (persistent, paid)",
    "LEAPCELL",  # the same for both
    port=8080,
    writable_folders=("/tmp",),  # noqa: S108 - the one that it has
    stream_total_seconds=900,
    max_request_bytes=5 * MEBIBYTE_BYTES,
    memory_bytes=512 * MEBIBYTE_BYTES,
    cpu_cores=0.29,
    max_environment_bytes=3 * 1024,
    health_path="/kaithhealth",
)
KOYEB = Host(
    "koyeb",
    "Koyeb",
    "KOYEB_APP_NAME",
    has_shell=True,
    stream_total_seconds=100,  # not published
    memory_bytes=512 * MEBIBYTE_BYTES,
    cpu_cores=0.1,
    stop_seconds=30,
    sleeps_after_seconds=3600,
    wake_seconds=5,
    blocked_ports=SMTP_PORTS,  # not published for the free machine
)
HEROKU = Host(
    "heroku",
    "Heroku (Procfile)",
    "DYNO",
    port=5000,  # in truth another at each start
    has_shell=True,
    stream_idle_seconds=55,
    memory_bytes=512 * MEBIBYTE_BYTES,
    cpu_cores=1,
    stop_seconds=30,
    sleeps_after_seconds=1800,
    wake_seconds=15,
    blocked_ports=(25,),
    max_environment_bytes=32 * 1024,
    release_hook=True,
)
CLOUD_RUN = Host(
    "cloudrun",
    "Google Cloud Run",
    "K_SERVICE",
    port=8080,
    stream_total_seconds=300,
    max_request_bytes=32 * MEBIBYTE_BYTES,
    memory_bytes=512 * MEBIBYTE_BYTES,  # files that are written count, too
    cpu_cores=1,
    stop_seconds=10,
    sleeps_after_seconds=900,
    runs_between_requests=False,
    blocked_ports=(25,),
)
HUGGING_FACE = Host(
    "huggingface",
    "Hugging Face Spaces",
    "SPACE_ID",
    port=8000,  # as the app_port of the Space's README says; by default 7860
    memory_bytes=16 * 1024 * MEBIBYTE_BYTES,
    cpu_cores=2,
    sleeps_after_seconds=48 * 3600,
    wake_seconds=60,
    open_ports=(80, 443, 8080),
)
LINUX = Host(
    "linux",
    "Linux (systemd)",
    keeps_disk=True,
    has_shell=True,
    memory_bytes=512 * MEBIBYTE_BYTES,
    cpu_cores=1,
    stop_seconds=30,  # as the unit says
    blocked_ports=SMTP_PORTS,  # of a droplet; others shut 25 alone, or none
    release_hook=True,
)
COMPOSE = Host("compose", "Docker Compose", keeps_disk=True, has_shell=True, stop_seconds=30, release_hook=True)
KUBERNETES = Host("kubernetes", "Kubernetes", has_shell=True, stop_seconds=30, release_hook=True)

HOSTS: dict[str, Host] = {
    host.name: host
    for host in (
        FLY,
        RENDER,
        RAILWAY,
        LEAPCELL,
        LEAPCELL_PERSISTENT,
        KOYEB,
        HEROKU,
        CLOUD_RUN,
        HUGGING_FACE,
        LINUX,
        COMPOSE,
        KUBERNETES,
    )
}
HOST_VARIABLES = (*dict.fromkeys(host.variable for host in HOSTS.values() if host.variable), "VERCEL")
"""What each host sets by itself. It tells that this is production."""


def current_host() -> Host | None:
    """The host that this process runs on, as far as its environment tells."""
    return next((host for host in HOSTS.values() if host.variable and os.environ.get(host.variable)), None)


def is_on_host() -> bool:
    """Whether this process runs on a known host, also on one of which nothing more is known."""
    return any(os.environ.get(name) for name in HOST_VARIABLES)


def base_url_from_host() -> str:
    """The public address that a known host tells, or an empty string."""
    if url := os.environ.get("RENDER_EXTERNAL_URL"):
        return url
    if (
        domain := os.environ.get("RAILWAY_PUBLIC_DOMAIN")
        or os.environ.get("KOYEB_PUBLIC_DOMAIN")
        or os.environ.get("SPACE_HOST")
    ):
        return f"https://{domain}"
    if name := os.environ.get("FLY_APP_NAME"):
        return f"https://{name}.fly.dev"
    return ""


def client_address_header_from_host() -> str:
    """The header that a known host has for a visitor's address, or an empty string."""
    host = current_host()
    return host.client_address_header if host else ""


def is_ephemeral(folder: Path) -> bool:
    """Whether a known host throws away what is written there at the next deploy or restart."""
    return is_on_host() and not _is_kept(folder.resolve())


def shutdown_seconds() -> float:
    """Seconds between the signal to stop and the end of the process, as the known hosts and Docker give by default."""
    host = current_host()
    return host.stop_seconds if host else DOCKER_STOP_SECONDS


def _is_kept(folder: Path) -> bool:
    """Whether a volume is mounted there: the disk that the container itself is on goes with the container."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    temporary = there.is_relative_to(Path(tempfile.gettempdir()).resolve())
    return not temporary and there.stat().st_dev != Path("/").stat().st_dev
