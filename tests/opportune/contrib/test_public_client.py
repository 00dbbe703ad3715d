"""HTTP client for URLs that users enter. Tests of the knowledge base cover private addresses and redirects."""

import pytest

from opportune.contrib.public_client import ResponseTooLarge, public_client
from tests.opportune.contrib.llm.providers.endpoint import response, serve_endpoint


async def test_large_response_keeps_its_status() -> None:
    client = public_client(max_bytes=9, is_allowed=lambda address: address.is_loopback)
    async with serve_endpoint(response("201 Created", b"a" * 10)) as endpoint, client:
        url = f"http://127.0.0.1:{endpoint.port}/hook"
        async with client.stream("POST", url, json={"order": 1}) as delivered:
            assert (delivered.status_code, str(delivered.url), endpoint.bodies) == (201, url, [{"order": 1}])
            with pytest.raises(ResponseTooLarge):
                await delivered.aread()
