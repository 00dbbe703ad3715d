"""`runserver`: options, ports, checks before the start, and the self-signed certificate of `--https`."""

import os
import re
import shutil
import ssl
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx2
import pytest
from cryptography import x509

from opportune.cli.development import certificate, runserver, server, sockets
from opportune.cli.development.certificate import certificate_for
from opportune.errors import OperatorError
from opportune.testing.services.missing_programs import skip_for_missing
from opportune.testing.services.postgres import Postgres
from tests.opportune.cli.conftest import TIMEOUT_SECONDS, Oppman, ProjectCopy, install_required_features, read_until
from tests.opportune.cli.development.processes import running

PRODUCTION = {"ENVIRONMENT": "production", "SECRET_KEY": "Zq3-7xT_m1Lk0pWv9sRb8nYc2Hd5Jf4Gg6"}


@pytest.fixture
def taken_port() -> Iterator[str]:
    with sockets.reserve("127.0.0.1", 0) as listener:
        listener.listen()
        yield str(listener.getsockname()[1])


def site_address(output: str) -> str:
    return output.rpartition("Listening on ")[2].split()[0]


def test_https_and_pending_migrations(tmp_path: Path) -> None:
    arguments = ("runserver", "127.0.0.1:0", "--no-reload", "--https")
    with running(tmp_path, *arguments, DATABASE_URL=f"sqlite:///{tmp_path}/app.db") as site:
        output = read_until(site.output, "is self-signed")
        assert re.search(r"not applied \(accounts.0001_initial.* Run python3 oppman.py migrate\.", output)
        ssl_context = ssl.create_default_context(cafile=tmp_path / "https.pem")
        address = site_address(output)
        assert address.startswith("https://127.0.0.1:")
        assert httpx2.get(f"{address}/health/live", verify=ssl_context, timeout=TIMEOUT_SECONDS).status_code == 200
        assert site.end()[0] == 0


def test_migrate_and_workers_options(oppman: Oppman, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    serve_options: list[dict[str, object]] = []
    monkeypatch.setattr(server, "serve", lambda *_, **options: serve_options.append(options))
    arguments = ("runserver", "--port", "0", "--workers", "2", "--migrate")
    code, out, err = oppman(*arguments, DATABASE_URL=f"sqlite:///{tmp_path}/app.db")
    assert (code, "Applying accounts.0001_initial... OK" in out, "not applied" in out + err) == (0, True, False)
    assert serve_options == [{"workers": 2, "reload": False}]


def test_taken_port_stops_before_any_change(oppman: Oppman, taken_port: str, tmp_path: Path) -> None:
    outcome = oppman("runserver", "--migrate", PORT=taken_port, DATABASE_URL=f"sqlite:///{tmp_path}/app.db")
    assert re.fullmatch(rf"Port {taken_port} is in use. Run: python3 oppman.py runserver \d+\n", outcome.err)
    assert outcome[:2] == (1, "")
    assert list(tmp_path.iterdir()) == []


def test_no_input_takes_the_next_free_port(taken_port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with runserver.reserve("127.0.0.1", int(taken_port), use_free_port=True) as listener:
        port = listener.getsockname()[1]
    assert port > int(taken_port)
    assert capsys.readouterr().out == f"Port {taken_port} is in use. Using {port} instead.\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["8000"], (None, 8000)),
        (["0.0.0.0:8000"], ("0.0.0.0", 8000)),  # noqa: S104 - read only
        (["[::1]:8000"], ("::1", 8000)),
        (["8000", "--host", "::1"], ("::1", 8000)),
    ],
)
def test_address_formats(
    oppman: Oppman, monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: tuple[str | None, int]
) -> None:
    def reserve(*address: object, **_: object) -> None:
        raise OperatorError(str(address))

    monkeypatch.setattr(runserver, "reserve", reserve)
    host, port = expected
    assert oppman("runserver", *arguments).err == f"{(host or '127.0.0.1', port)}\n"


@pytest.mark.parametrize(
    "arguments", [["99999"], ["a:b:c"], ["::1:8000"], ["8000", "--port", "1"], ["--workers", "2", "--reload"]]
)
def test_wrong_usage_is_reported_in_one_line(oppman: Oppman, arguments: list[str]) -> None:
    oppman("runserver", *arguments).line(2)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"DATABASE_URL": "postgresql://user:opensesame@127.0.0.1:1/name"}, "No server responds at 127.0.0.1:1"),
        ({"DATABASE_URL": "sqlite:////dev/null/app.db"}, "The folder /dev/null"),  # like a read-only folder
        ({"ENVIRONMENT": "production"}, "SECRET_KEY is missing"),
        ({"STORAGE_URL": "s3://user:opensesame@127.0.0.1"}, "STORAGE_URL lacks the host or the bucket"),
    ],
)
def test_invalid_settings_are_reported_without_secrets(oppman: Oppman, environ: dict[str, str], message: str) -> None:
    line = oppman("runserver", "--port", "0", **environ).line()
    assert message in line
    assert "opensesame" not in line


@pytest.fixture(scope="module")
def unprivileged() -> tuple[str, ...]:
    """Command prefix that makes root respect file permissions."""
    if os.geteuid() != 0:
        return ()
    if not shutil.which("setpriv"):
        skip_for_missing("setpriv, for root to obey permissions,", "apt install util-linux")
    return ("setpriv", "--bounding-set=-all")


@pytest.fixture
def read_only_copy(tmp_path: Path) -> Iterator[ProjectCopy]:
    """A read-only copy of the project without examples."""
    copy = ProjectCopy(tmp_path / "copy")
    install_required_features(copy.folder)
    paths = [copy.folder, *(path for path in copy.folder.rglob("*") if path.is_dir() or path.stat().st_nlink == 1)]
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)
    yield copy
    for path in paths:  # so that pytest can remove them
        path.chmod(path.stat().st_mode | 0o200)


def test_read_only_site(read_only_copy: ProjectCopy, unprivileged: tuple[str, ...], postgres_server: Postgres) -> None:
    environ = {**PRODUCTION, "DATABASE_URL": postgres_server.create_database("read_only_tree")}
    arguments = ("runserver", "--port", "0", "--migrate")
    with read_only_copy.running(*arguments, environ=environ, prefix=unprivileged) as process:
        assert process.stdout
        output = read_until(process.stdout, "Listening on")
        assert "Applying accounts.0001_initial... OK" in output
        assert "(all addresses of this machine; here: http://127.0.0.1:" in output
        address = site_address(output)
        response = httpx2.get(f"{address}/health/ready", timeout=TIMEOUT_SECONDS)
        assert (response.status_code, response.headers.get("server")) == (200, None)
        assert httpx2.get(f"{address}/accounts/login", timeout=TIMEOUT_SECONDS).status_code == 200
    postgres_server.drop_database("read_only_tree")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data/https.pem"


def test_certificate_is_for_machine_and_host(path: Path) -> None:
    loaded_certificate = x509.load_pem_x509_certificate(certificate_for("192.0.2.7", path).read_bytes())
    names = loaded_certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    addresses = {ip_address(address) for address in ("127.0.0.1", "::1", "192.0.2.7")}
    assert addresses <= set(names.get_values_for_type(x509.IPAddress))
    assert loaded_certificate.not_valid_after_utc - datetime.now(UTC) < timedelta(days=398)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_certificate_is_replaced_for_host_expiry_or_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = certificate_for("127.0.0.1", path).read_bytes()
    assert certificate_for("::1", path).read_bytes() == first
    other = certificate_for("192.0.2.7", path).read_bytes()
    assert other != first
    with monkeypatch.context() as patch:
        patch.setattr(certificate, "MIN_DAYS_LEFT", certificate.LIFETIME_DAYS)
        assert certificate_for("192.0.2.7", path).read_bytes() != other
    path.write_text("nothing")
    assert b"BEGIN CERTIFICATE" in certificate_for("127.0.0.1", path).read_bytes()
