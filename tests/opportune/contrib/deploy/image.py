"""Build the images of the starter and of a project, start them as their user, and request pages.

    bash .ci/run image

Needs root and Linux, and no Docker engine: Buildah builds the images on a base created by `mmdebstrap`.
"""

import json
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from opportune.project.layout import PROJECT
from opportune.testing.services.missing_programs import skip_for_missing
from opportune.testing.services.ports import free_port

MAX_ENVIRONMENT_MEGABYTES = 185
"""A quarter less than all of requirements.lock with bytecode, which has 242 MB (`du -sm --apparent-size`)."""
START_SECONDS = 120
PAGES = ("/", "/accounts/login", "/admin/")
PIP_FILES = ("/etc/pip.conf", "/etc/xdg/pip", "/etc/ssl/certs")
"""Configuration of machines without access to the public package index."""
DEBIAN = "http://deb.debian.org/debian"
BASE = "localhost/debian-python"
READ_ONLY = (
    'mount --bind "$0" "$0" && mount -t tmpfs tmpfs "$0/tmp" && mount -t proc proc "$0/proc" && '
    'mount -o remount,ro,bind "$0" && exec chroot "$@"'
)
"""Script that makes the root read-only in a new mount namespace."""


class Image(NamedTuple):
    root: Path
    user: str
    folder: str
    environ: list[str]
    command: list[str]


class Buildah:
    """Buildah with a store in a folder."""

    def __init__(self, store: Path) -> None:
        self.store = store

    def __call__(self, *arguments: str | Path) -> str:
        return run("buildah", "--root", self.store / "root", "--runroot", self.store / "run", *arguments)

    @contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        container = self("from", image)
        try:
            yield Path(self("mount", container))
        finally:
            self("rm", container)


def run(*command: str | Path) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    assert result.returncode == 0, f"{command}\n{result.stdout[-3000:]}\n{result.stderr[-6000:]}"
    return result.stdout.strip()


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    """Buildah with an image that has Debian's Python and pip."""
    for program in ("buildah", "mmdebstrap"):
        if shutil.which(program) is None:
            skip_for_missing(program, f"apt-get install {program}")
    folder = tmp_path_factory.mktemp("images")
    buildah = Buildah(folder / "store")
    container = buildah("from", "scratch")
    packages = "--include=python3,python3-pip,ca-certificates"
    run("mmdebstrap", "--variant=minbase", packages, "stable", buildah("mount", container), DEBIAN)
    buildah("commit", "-q", "--rm", container, BASE)
    yield buildah
    buildah("rmi", "--all", "--force")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def images(buildah: Buildah, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Images of the starter and of a project, built concurrently."""
    project = tmp_path_factory.mktemp("project") / "shop"
    run(sys.executable, PROJECT / "oppman.py", "startproject", "Shop", project, "--no-input")
    volumes = [f"--volume={path}:{path}:ro" for path in PIP_FILES if Path(path).exists()]
    options = ("-q", "--format=docker", "--isolation=chroot", f"--build-arg=PYTHON_IMAGE={BASE}", *volumes)
    with ThreadPoolExecutor() as pool:
        built = pool.map(lambda folder: buildah("build", *options, folder), (PROJECT, project))
        return dict(zip(("starter", "project"), built, strict=True))


@pytest.fixture(scope="module", params=["starter", "project"])
def image(request: pytest.FixtureRequest, images: dict[str, str], buildah: Buildah) -> Iterator[Image]:
    name = images[request.param]
    config = json.loads(buildah("inspect", "--type=image", name))["OCIv1"]["config"]
    with buildah.mounted(name) as root:
        yield Image(root, config["User"], config["WorkingDir"], config["Env"], config["Cmd"])


def test_image_has_no_development_tools(image: Image) -> None:
    root = image.root
    assert int(run("du", "-sm", "--apparent-size", root / "environment").split()[0]) <= MAX_ENVIRONMENT_MEGABYTES
    packages = {path.name for path in root.glob("environment/lib/python3*/site-packages/*")}
    assert not packages & {"pip", "pytest", "mypy", "fontTools"}
    assert not {path.name for path in (root / "usr/bin").iterdir()} & {"gcc", "cc", "strip"}
    assert not (root / "site/tests").exists()


def test_image_runs_read_only_as_its_user(image: Image) -> None:
    port = free_port()
    environ = [
        *image.environ,
        *(f"SECRET_KEY={secrets.token_urlsafe(48)}", f"PORT={port}", "ALLOWED_HOSTS=127.0.0.1"),
        *("DATABASE_URL=sqlite:////tmp/site.db", "STORAGE_URL=file:/tmp/uploads"),
    ]
    user = f"--userspec={image.user}:{image.user}"
    chroot = [user, str(image.root), "env", "-i", f"--chdir={image.folder}", *environ]
    server = subprocess.Popen(["unshare", "--mount", "sh", "-c", READ_ONLY, image.root, *chroot, *image.command])
    try:
        assert wait_for(f"http://127.0.0.1:{port}/health/ready", server).status_code == 200
        assert Path(f"/proc/{server.pid}").stat().st_uid == 1000
        for path in PAGES:
            assert httpx2.get(f"http://127.0.0.1:{port}{path}", timeout=30, follow_redirects=True).status_code == 200
    finally:
        server.send_signal(signal.SIGTERM)
    assert server.wait(30) == 0


def wait_for(address: str, server: "subprocess.Popen[bytes]") -> httpx2.Response:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return httpx2.get(address, timeout=5)
        except httpx2.TransportError:
            if time.monotonic() > deadline or server.poll() is not None:
                raise
            time.sleep(0.2)
