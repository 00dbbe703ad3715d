"""PgBouncer in transaction mode, as hosting providers run it."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL

from opportune.contrib.deploy.rehearsal.certificates import make_certificate
from opportune.db.url.database_url import DatabaseUrl
from opportune.testing.services.missing_programs import skip_for_missing
from opportune.testing.services.ports import free_port, running_server
from opportune.testing.services.postgres import unprivileged_account

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

CONFIGURATION = Path(__file__).with_name("pgbouncer.ini").read_text(encoding="utf-8")
NO_PREPARED_STATEMENTS = "max_prepared_statements = 0\n"
"""As the poolers of many hosts. Earlier versions have no such option and keep no statements."""


@contextmanager
def pgbouncer(database_url: str, connections: int = 2, *, certificate_days: int = 1) -> Iterator[str]:
    """Return the URL of the same database through a pooler with TLS and few connections."""
    if PROGRAM is None:
        skip_for_missing("PgBouncer", "apt install pgbouncer")
    url = DatabaseUrl.parse(database_url).url
    port = free_port()
    account = unprivileged_account()
    with tempfile.TemporaryDirectory(prefix="opportune-pgbouncer-") as name, (Path(name) / "log").open("wb") as log:
        folder = Path(name)
        folder.chmod(0o755)
        certificate = make_certificate(folder, days=certificate_days)
        if account:
            shutil.chown(certificate, account["user"])
        configuration = folder / "pgbouncer.ini"
        text = _configuration_for(url, listen_port=port, connections=connections, certificate=certificate)
        configuration.write_text(text, encoding="utf-8")
        with running_server([PROGRAM, str(configuration)], port, stdout=log, stderr=log, **account):
            tls = {"sslmode": "verify-full", "sslrootcert": str(certificate)}
            pooled_url = url.set(host="127.0.0.1", port=port).update_query_dict(tls)
            yield pooled_url.render_as_string(hide_password=False)


def _configuration_for(url: URL, **pooler: object) -> str:
    password = (url.password or "").replace("'", "''")
    server = {"host": url.host, "port": url.port or 5432, "user": url.username, "password": password}
    return CONFIGURATION.format(**server, **pooler) + (NO_PREPARED_STATEMENTS if _version() >= (1, 21) else "")


def _version() -> tuple[int, ...]:
    output = subprocess.run([str(PROGRAM), "--version"], capture_output=True, text=True, check=True, timeout=10).stdout
    program = re.search(r"PgBouncer (\d+)\.(\d+)", output)
    return tuple(map(int, program.groups())) if program else ()
