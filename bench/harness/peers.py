"""Servers to compare, started as their guides recommend."""

from dataclasses import dataclass, field

KEY = "a key for benchmarks that opens nothing"


@dataclass(frozen=True)
class Peer:
    prepare: str
    """Module that creates tables and rows, and prints the cookie of a signed-in user."""
    serve: tuple[str, ...]
    """Arguments for Python. {port} is replaced."""
    environ: dict[str, str] = field(default_factory=dict)
    variable: str = "BENCH_DATABASE_URL"
    """Environment variable with the database URL."""
    drivers: dict[str, str] = field(default_factory=dict)
    """URL schemes of SQLAlchemy."""

    def environ_for(self, url: str) -> dict[str, str]:
        scheme, location = url.split("://", 1)
        return {**self.environ, self.variable: f"{self.drivers.get(scheme, scheme)}://{location}"}


PEERS = {
    "ours": Peer(
        prepare="bench.peers.ours.prepare",
        serve=("-m", "bench.peers.ours.serve"),
        variable="DATABASE_URL",
        environ={
            "ENVIRONMENT": "production",
            "DEBUG": "false",
            "SECRET_KEY": KEY,
            "HOST": "127.0.0.1",
            "ALLOWED_HOSTS": "127.0.0.1",
            "LLM_BASE_URL": "http://127.0.0.1:9/v1",  # do not load the local model
        },
    ),
    "plain": Peer(
        prepare="bench.peers.plain.prepare",
        serve=("-m", "uvicorn", "bench.peers.plain.app:app", "--port", "{port}"),
        drivers={"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"},
    ),
    "django": Peer(
        prepare="bench.peers.django_site.prepare",
        serve=("-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--threads", "4", "bench.peers.django_site.wsgi"),
        environ={"DJANGO_SETTINGS_MODULE": "bench.peers.django_site.settings"},
    ),
    "rest": Peer(
        prepare="bench.peers.django_site.prepare",
        serve=("-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--threads", "4", "bench.peers.django_site.wsgi"),
        environ={"DJANGO_SETTINGS_MODULE": "bench.peers.django_rest.settings"},
    ),
    "bare": Peer(
        prepare="bench.peers.bare.prepare",
        serve=("-m", "uvicorn", "bench.peers.bare.app:app", "--port", "{port}", "--no-access-log"),
    ),
}
