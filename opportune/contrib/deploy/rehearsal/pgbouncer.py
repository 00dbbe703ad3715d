"""PgBouncer in transaction mode, as hosting providers run it."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opportune.db.url.database_url import DatabaseUrl
from opportune.testing.services.certificates import make_certificate
from opportune.testing.services.missing_programs import skip_for_missing
from opportune.testing.services.ports import free_port, wait_until_reachable

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
    folder = Path(tempfile.mkdtemp(prefix="opportune-pgbouncer-"))
    folder.chmod(0o755)
    certificate = make_certificate(folder, days=certificate_days)
    password = str(url.password).replace("'", "''")
    server = {"host": url.host, "port": url.port, "user": url.username, "password": password}
    pooler = {"listen_port": port, "connections": connections, "certificate": certificate}
    configuration = CONFIGURATION.format(**server, **pooler)
    if _version() >= (1, 21):
        configuration += NO_PREPARED_STATEMENTS
    (folder / "pgbouncer.ini").write_text(configuration, encoding="utf-8")
    is_root = sys.platform != "win32" and os.geteuid() == 0
    account = "nobody" if is_root else None  # PgBouncer refuses to run as root
    if account:
        shutil.chown(certificate, account)
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [PROGRAM, str(folder / "pgbouncer.ini")], stdout=log, stderr=log, user=account, extra_groups=account and []
    )
    try:
        wait_until_reachable(port, process)
        tls = {"sslmode": "verify-full", "sslrootcert": str(certificate)}
        pooled_url = url.set(host="127.0.0.1", port=port).update_query_dict(tls)
        yield pooled_url.render_as_string(hide_password=False)
    finally:
        process.kill()
        process.wait()
        log.close()
        shutil.rmtree(folder)


def _version() -> tuple[int, ...]:
    output = subprocess.run([str(PROGRAM), "--version"], capture_output=True, text=True, check=True, timeout=10).stdout
    program = re.search(r"PgBouncer (\d+)\.(\d+)", output)
    return tuple(map(int, program.groups())) if program else ()
