"""Build the image from the Dockerfile and start it like a host. This takes minutes, so it only runs on request:

    python3 oppman.py test -o faulthandler_timeout=1800 tests/opportune/ops/deploy/image.py

Needs Buildah and root for mounts. The base image is `PYTHON_IMAGE`, or one created by `debootstrap`.
"""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from opportune.config.project import PROJECT
from opportune.testing.services.missing_programs import skip_for_missing
from opportune.testing.services.redis import free_port

MAX_ENVIRONMENT_MEGABYTES = 160
"""A third less than all of requirements.lock with bytecode, which has 234 MB (`du -sm`, November 2026)."""
START_SECONDS = 120
STOP_SECONDS = 30
PIP_FILES = ("/etc/pip.conf", "/etc/ssl/certs", "/opt")
"""Configuration of machines without access to the public package index."""


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=1800).stdout.strip()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """File system of the image."""
    for program in ("buildah", "debootstrap"):
        if shutil.which(program) is None:
            skip_for_missing(program, f"apt-get install {program}")
    base = os.environ.get("PYTHON_IMAGE") or debian(tmp_path_factory.mktemp("debian"))
    volumes = [f"--volume={path}:{path}:ro" for path in PIP_FILES if Path(path).exists()]
    image = run("buildah", "build", "-q", "--isolation=chroot", f"--build-arg=PYTHON_IMAGE={base}", *volumes, PROJECT)
    container = run("buildah", "from", image)
    try:
        yield Path(run("buildah", "mount", container))
    finally:
        run("buildah", "rm", container)


def debian(folder: Path) -> str:
    packages = "--include=python3,python3-venv,python3-pip,ca-certificates"
    run("debootstrap", "--variant=minbase", packages, "stable", folder)
    container = run("buildah", "from", "scratch")
    run("buildah", "copy", "-q", container, folder, "/")
    run("buildah", "commit", "-q", "--rm", container, "localhost/debian-python")
    shutil.rmtree(folder)
    return "localhost/debian-python"


def test_image_has_no_development_tools(root: Path) -> None:
    assert int(run("du", "-sm", root / "environment").split()[0]) <= MAX_ENVIRONMENT_MEGABYTES
    packages = {path.name for path in root.glob("environment/lib/python3*/site-packages/*")}
    assert not packages & {"pip", "pytest", "mypy"}
    assert not {path.name for path in (root / "usr/bin").iterdir()} & {"gcc", "cc", "strip"}
    assert not (root / "site/tests").exists()


def test_bill_of_materials_matches_the_lock(root: Path) -> None:
    parts = json.loads((root / "environment/sbom.cdx.json").read_text())["components"]
    lock = (PROJECT / "requirements.lock").read_text()
    assert {f"{part['name']}=={part['version']}" for part in parts} <= {
        line.replace("_", "-").lower() for line in re.findall(r"^([\w.-]+==[\w.]+)", lock, re.MULTILINE)
    }


def test_image_runs_read_only_without_root(root: Path) -> None:
    port = free_port()
    command = (
        "exec env -i PATH=/environment/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 ENVIRONMENT=production "
        f"SECRET_KEY={secrets.token_urlsafe(48)} DATABASE_URL=sqlite:////tmp/site.db STORAGE_URL=file:/tmp/uploads "
        f"ALLOWED_HOSTS=127.0.0.1 PORT={port} python oppman.py runserver --workers 1 --migrate"
    )
    mounts = (
        'mount --bind "$0" "$0" && mount -t tmpfs tmpfs "$0/tmp" && mount -t proc proc "$0/proc" && '
        'mount --rbind /dev "$0/dev" && mount -o remount,ro,bind "$0" && '
        'exec chroot --userspec=1000:1000 "$0" sh -c "cd /site && ! touch x 2>&- && $1"'
    )
    server = subprocess.Popen(["unshare", "--mount", "sh", "-c", mounts, root, command])
    try:
        assert wait_for(f"http://127.0.0.1:{port}/health/ready", server).status_code == 200
        for path in ("/", "/accounts/login", "/admin/"):
            assert httpx.get(f"http://127.0.0.1:{port}{path}", timeout=30, follow_redirects=True).status_code == 200
    finally:
        server.send_signal(signal.SIGTERM)
    assert server.wait(STOP_SECONDS) == 0


def wait_for(address: str, server: "subprocess.Popen[bytes]") -> httpx.Response:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return httpx.get(address, timeout=5)
        except httpx.TransportError:
            if time.monotonic() > deadline or server.poll() is not None:
                raise
            time.sleep(0.2)
