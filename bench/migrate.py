"""Time of `oppman.py migrate` with nothing to do, compared with Alembic's async `upgrade head`.

    .venv/bin/python -m bench.migrate [--rounds 11]

Whole processes, one of each in turn, on the interpreter that runs this file. The peer is created by
`alembic init -t async`, with as many empty migrations as the site has, and no models.
"""

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from bench.harness.commands import medians_in_turn, time_command
from bench.harness.options import BenchmarkParser
from bench.harness.servers import PROJECT, environment
from opportune.db.migrations.graph import MigrationGraph
from opportune.project.installed import installed_names

MAX_RATIO = 4.5
"""The peer has no models, and `migrate` imports all features: they register search indexes and groups to create."""
MIGRATION = """
revision = {revision!r}
down_revision = {down_revision!r}


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
"""


def main() -> int:
    options = BenchmarkParser(__doc__, 11).read()
    with tempfile.TemporaryDirectory() as folder:
        ours, peer = measure(Path(folder), options.rounds)
    print(f"{'oppman.py migrate':24} {ours:7.1f} ms")
    print(f"{'alembic upgrade head':24} {peer:7.1f} ms")
    print(f"{'ratio':24} {ours / peer:7.2f}    (at most {MAX_RATIO}; medians of {options.rounds} rounds)")
    return int(options.is_judged and ours / peer > MAX_RATIO)


def measure(folder: Path, rounds: int) -> list[float]:
    site = environment(DATABASE_URL=f"sqlite:///{folder}/site.db", ENVIRONMENT="test")
    peer = create_alembic_project(folder / "peer")
    commands = [
        partial(milliseconds, ["oppman.py", "migrate"], PROJECT, site),
        partial(milliseconds, ["-m", "alembic", "upgrade", "head"], peer, environment()),
    ]
    return medians_in_turn(commands, rounds)


def create_alembic_project(folder: Path) -> Path:
    folder.mkdir()
    alembic = [sys.executable, "-m", "alembic", "init", "-t", "async", "migrations"]
    subprocess.run(alembic, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    ini = folder / "alembic.ini"
    text = ini.read_text(encoding="utf-8").replace("driver://user:pass@localhost/dbname", "sqlite+aiosqlite:///peer.db")
    ini.write_text(text, encoding="utf-8")
    down_revision = None
    for number, _ in enumerate(MigrationGraph(installed_names()).ordered):
        revision = f"r{number}"
        text = MIGRATION.format(revision=revision, down_revision=down_revision)
        (folder / f"migrations/versions/{revision}.py").write_text(text, encoding="utf-8")
        down_revision = revision
    return folder


def milliseconds(command: list[str], folder: Path, environ: dict[str, str]) -> float:
    return time_command(command, environ, folder).seconds * 1000


if __name__ == "__main__":
    sys.exit(main())
