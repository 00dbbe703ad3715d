"""The pages of background jobs."""

from collections.abc import Awaitable, Callable, Sequence

from markupsafe import Markup
from sqladmin import action
from sqladmin.authorization import custom_action
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import SuperuserOnly
from opportune.admin.lists.actions import list_url, selected_keys
from opportune.admin.log import audit
from opportune.admin.views import AdminView
from opportune.db.models.choices import choice_label
from opportune.db.models.row_ids import parse_row_id
from opportune.errors import OperatorError
from opportune.i18n import ngettext
from opportune.jobs import management
from opportune.jobs.models import Job, JobState
from opportune.web.rendering.flash import flash

JobAction = Callable[[AsyncSession, int], Awaitable[None]]

COLOURS = {
    JobState.HELD: "secondary",
    JobState.WAITING: "cyan",
    JobState.RUNNING: "blue",
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "yellow",
}

ALLOWED_STATES = {"retry": management.CAN_BE_RETRIED, "cancel": management.CAN_BE_CANCELLED}

MAX_SHOWN_REFUSALS = 5
"""Maximum number of refusals to show. All flash messages share one cookie, whose size is limited."""


def _state(job: Job, _name: str) -> Markup:
    state = JobState(job.state)
    return Markup('<span class="status status-{}">{}</span>').format(COLOURS[state], choice_label(state))


def _describe_changed(slug: str, count: int) -> str:
    if slug == "retry":
        return ngettext("%(num)s job queued again.", "%(num)s jobs queued again.", count)
    return ngettext("%(num)s job cancelled.", "%(num)s jobs cancelled.", count)


class JobAdmin(SuperuserOnly, AdminView, model=Job):
    """Jobs, for superusers only. Arguments of jobs contain e-mails, which can contain sign-in links."""

    name, plural = "Job", "Jobs"
    columns = ("id", "state", "name", "due_at", "attempt", "remark")
    fields = (
        "id", "state", "name", "shown_arguments", "queue", "group_name", "attempt", "progress", "error",
        "created_at", "due_at", "started_at", "ended_at", "key",
    )  # fmt: skip
    search = ("name", "error")
    filters = ("state", "queue", "created_at", "due_at")
    sort = ("id", "state", "name", "due_at", "attempt")
    column_labels = {
        "shown_arguments": "Arguments",
        "due_at": "Due",
        "group_name": "Group",
        "attempt": "Attempts",
        "progress": "Progress",
        "remark": "Progress or error",
    }
    column_formatters = column_formatters_detail = {"state": _state}
    can_create = can_edit = can_delete = False
    icon, category = "ti ti-stack-2", "Operations"

    def _actions_for(self, request: Request, row: Job) -> dict[str, str]:
        """Return the actions that are possible in the state of this job."""
        actions = super()._actions_for(request, row)
        impossible = {slug for slug, states in ALLOWED_STATES.items() if row.state not in states}
        return {slug: label for slug, label in actions.items() if slug not in impossible}

    @action("retry", "Try again")
    async def retry(self, request: Request) -> Response:
        return await self._apply(request, "retry", request.app.state.jobs.retry)

    @action("cancel", "Cancel", "Cancel these jobs? A running job ends at its next step.")
    async def cancel(self, request: Request) -> Response:
        return await self._apply(request, "cancel", request.app.state.jobs.cancel)

    async def _apply(self, request: Request, slug: str, change: JobAction) -> Response:
        """Run the action on each selected job, and flash the refusals."""
        ids = sorted(filter(None, map(parse_row_id, selected_keys(request))))
        refusals = await self._change(request, slug, change, ids)
        audit.mark_recorded(request)
        if count := len(ids) - len(refusals):
            flash(request, _describe_changed(slug, count))
        for line in refusals[:MAX_SHOWN_REFUSALS]:
            flash(request, line, "danger")
        if more := len(refusals[MAX_SHOWN_REFUSALS:]):
            text = ngettext("%(num)s more job could not be changed.", "%(num)s more jobs could not be changed.", more)
            flash(request, text, "danger")
        return RedirectResponse(list_url(request, self), 303)

    async def _change(self, request: Request, slug: str, change: JobAction, ids: Sequence[int]) -> Sequence[str]:
        """Change the jobs in one transaction. Return the messages about those in another state."""
        refusals = []
        async with self.site.database.writer() as session:
            for job_id in ids:
                try:
                    await change(session, job_id)
                except OperatorError as error:
                    refusals.append(str(error))
                else:
                    job = await management.find_job(session, job_id)
                    audit.record_row(session, request, custom_action(slug), self.identity, job, {})
        return refusals
