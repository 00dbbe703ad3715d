"""What a superuser sees of the site's condition."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from opportune.admin.kept import Kept
from opportune.db.errors import explain, is_outage
from opportune.db.migrations.graph import Migration, Tree
from opportune.db.migrations.history import recorded
from opportune.errors import OperatorError
from opportune.jobs import management
from opportune.jobs.models import State
from opportune.mail.transport import Console, transport_for
from opportune.storage import Storage
from opportune.web.health import checkup_of

PATIENCE = 4
"""Seconds for a place of files that is somewhere else."""

JOBS: dict[str, str] = {"worker": "done by a worker", "off": "JOBS is off: they wait"}


@dataclass(frozen=True)
class Sign:
    """One line: how a part of the site is."""

    part: str
    words: str
    state: Literal["ok", "notice", "fault"] = "ok"
    address: str = ""
    """Where to do something about it."""


class Health:
    """Looks after the parts one by one; none that is away keeps the others from being told."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._files: Kept[Sign] = Kept()
        self._tree: Kept[Tree] = Kept()

    async def signs(self) -> list[Sign]:
        files = self._files.get("files", self._look_after_files)
        database, found = await asyncio.gather(self._database(), files)
        return [*database, found, self._mail()]

    async def _database(self) -> list[Sign]:
        away = await checkup_of(self.app).away()
        signs = [Sign("Database", "answers", "ok") if "writer" not in away else Sign("Database", "is away", "fault")]
        if self.app.state.database.replica:
            gone = Sign("Replica", "is away: the database itself is read", "fault")
            signs.append(gone if "reader" in away else Sign("Replica", "answers"))
        try:
            return [*signs, *await self._kept_there()]
        except OperatorError as error:  # of a file that is no migration
            return [*signs, Sign("Migrations", str(error), "fault")]
        except (DBAPIError, PoolTimeoutError) as error:
            if not is_outage(error):
                raise
            return [*signs, Sign("Tables", explain(error, self.app.state.database.url), "fault")]

    async def _kept_there(self) -> list[Sign]:
        """What the database tells about the rest."""
        tree = await self._tree.get("tree", self._read_tree)
        async with self.app.state.database.reader(fresh=True) as session:
            rows = await (await session.connection()).run_sync(recorded)
            numbers = await management.counts(session)
        return [_of_migrations(tree.pending(rows)), _of_jobs(numbers, self.app.state.settings.jobs)]

    async def _read_tree(self) -> Tree:
        return await asyncio.to_thread(Tree, [feature.name for feature in self.app.state.features])

    async def _look_after_files(self) -> Sign:
        storage: Storage = self.app.state.storage
        try:
            async with asyncio.timeout(PATIENCE):
                fault = await storage.fault() or storage.loss
        except TimeoutError:
            fault = "The place of files does not answer."
        return Sign("Files", fault or "can be saved", "fault" if fault else "ok")

    def _mail(self) -> Sign:
        try:
            transport = transport_for(self.app.state.settings)
        except OperatorError as error:
            return Sign("Mail", str(error), "fault")
        if isinstance(transport, Console):
            return Sign("Mail", "no letter leaves: MAIL_URL is console:", "notice")
        return Sign("Mail", f"goes to {transport.name}")


def _of_migrations(pending: Sequence[Migration]) -> Sign:
    if not pending:
        return Sign("Migrations", "all applied")
    return Sign("Migrations", f"{len(pending)} to apply: {', '.join(map(str, pending))}", "fault", "/admin/operations")


def _of_jobs(numbers: Mapping[State, int], who: str) -> Sign:
    waiting, failed = numbers[State.WAITING], numbers[State.FAILED]
    words = ", ".join(filter(None, (f"{waiting:,} waiting", f"{failed:,} failed", JOBS.get(who))))
    is_stuck = bool(waiting) and who == "off"
    address = f"/admin/queued-job/list?state={State.FAILED if failed else State.WAITING}"
    return Sign("Jobs", words, "notice" if failed or is_stuck else "ok", address)
