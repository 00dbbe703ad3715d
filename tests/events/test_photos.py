"""Photos of attendees: upload and deletion."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.events.models import Event
from opportune.config.settings import Settings
from opportune.testing import RecordedJobs, make_user, signed_in_client
from tests.events.conftest import ADA, list_stored_files, make_photo_upload, make_picture


async def test_invalid_upload_is_refused_at_its_field(
    client: AsyncClient, recorded_jobs: RecordedJobs, settings: Settings, tea: Event
) -> None:
    html = b"<!doctype html><script>alert(1)</script>"
    for content in (html, make_picture((9, 9)) + html, b"\xff\xd8\xff" + bytes(10_000_001)):
        response = await client.post("/events/tea", data=ADA, files=make_photo_upload(content))

        assert response.status_code == 422, content[:20]
        assert 'id="photo-error"' in response.text
        assert 'value="ada@example.com"' in response.text
    assert recorded_jobs.calls == []
    assert list_stored_files(settings) == []


async def test_staff_are_warned_about_ephemeral_storage(
    app: FastAPI, client: AsyncClient, tea: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RENDER", "true")
    staff = await make_user(app.state.database, is_staff=True)
    async with signed_in_client(app, staff) as staff_client:
        assert "they are lost at the next deploy" in (await staff_client.get("/events/tea")).text
        assert "they are lost" not in (await staff_client.get("/events")).text
    assert "they are lost" not in (await client.get("/events/tea")).text
