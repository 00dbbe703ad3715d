"""Paths of the pages of operations, and helpers that read what an operation has done."""

import re
from pathlib import Path

from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.admin.models import AuditEntry
from opportune.contrib.answers.admin.operations import OPERATIONS as ANSWER_OPERATIONS
from opportune.contrib.backup.feature import OPERATIONS as BACKUP_OPERATIONS
from opportune.contrib.operations.operations import CHANGES, TASKS
from tests.opportune.stored_rows import read_all

PAGE = "/admin/operations"
CONFIRM = "/accounts/confirm"

OPERATIONS = (*CHANGES, *TASKS, *ANSWER_OPERATIONS, *BACKUP_OPERATIONS)

READ_PATHS = (PAGE, f"{PAGE}/settings", f"{PAGE}/doctor", f"{PAGE}/backups")
CHANGE_PATHS = (*(f"{PAGE}/do/{name}" for name in OPERATIONS), f"{PAGE}/upgrade", f"{PAGE}/backup")


def list_names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def read_entries(app: FastAPI) -> list[tuple[str, str]]:
    entries = select(AuditEntry).where(col(AuditEntry.identity) == "operations").order_by(col(AuditEntry.id))
    return [(entry.action, entry.title) for entry in await read_all(app, entries)]


async def flash_messages(client: AsyncClient) -> str:
    """Flash messages on the next page."""
    page = (await client.get(f"{PAGE}/backups")).text  # this page is the cheapest one that shows them
    pattern = r'<div class="alert alert-\w+ alert-dismissible".*?<div class="text-break">(.*?)</div>'
    messages = re.findall(pattern, page, re.DOTALL)
    return " ".join(word for text in messages for word in text.split())
