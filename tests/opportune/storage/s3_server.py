"""moto's S3 server, in a thread of this process."""

import logging
from collections.abc import Iterator
from uuid import uuid4

import httpx2
import pytest

BUCKET = "opportune"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Start moto with one bucket, and return its host and port."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    httpx2.put(f"http://{host}:{port}/{BUCKET}").raise_for_status()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def s3_url(s3_server: str) -> str:
    """A STORAGE_URL for one test."""
    return f"s3://access:secret@{s3_server}/{BUCKET}/{uuid4().hex}?tls=false"
