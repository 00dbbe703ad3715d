"""Checklist of a new site on the overview."""

from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from opportune.contrib.backup.settings import BackupSettings
from opportune.testing.factories import signed_in_client
from tests.opportune.stored_rows import make_staff

URL = "/admin/arrange-overview"
LABELS = {
    "model": "Add a model of your own",
    "deploy": "Deploy the site",
    "mail": "Send e-mails",
    "backup": "Schedule backups",
    "llm": "Choose a language model",
}


def read_items(page: str) -> dict[str, bool]:
    """Return whether each step of the page is done, by its label."""
    card = page.partition('id="checklist"')[2].partition("</form>")[0]
    return {label: f'<s class="text-secondary">{label}</s>' in card for label in LABELS.values() if label in card}


async def test_configured_steps_are_ticked(app: FastAPI, admin: AsyncClient) -> None:
    items = read_items((await admin.get("/admin/?complete=1")).text)
    assert items == dict.fromkeys(LABELS.values(), False) | {LABELS["llm"]: True}, "tests have a fake model"
    settings = app.state.settings.model_copy(update={"mail_url": SecretStr("smtp://mail.example.org")})
    app.state.settings = settings.having(BackupSettings(backup_url=SecretStr("file:///backups")))
    items = read_items((await admin.get("/admin/?complete=1")).text)
    assert items[LABELS["mail"]]
    assert items[LABELS["backup"]]


async def test_dismissed_steps_stay_dismissed(admin: AsyncClient) -> None:
    for name in ("mail", "backup", "unknown"):
        assert (await admin.post(URL, data={"dismiss": name})).status_code == 303
    items = read_items((await admin.get("/admin/?complete=1")).text)
    assert items.keys() == {LABELS[name] for name in ("model", "deploy", "llm")}
    await admin.post(URL, data={"dismiss": "all"})
    assert "Get started" not in (await admin.get("/admin/?complete=1")).text


async def test_only_superusers_have_the_checklist(app: FastAPI) -> None:
    async with signed_in_client(app, await make_staff(app, "*.*")) as client:
        assert "Get started" not in (await client.get("/admin/?complete=1")).text
        assert (await client.post(URL, data={"dismiss": "all"})).status_code == 403
