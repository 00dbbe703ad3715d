"""The index without a shell: the same command, as a job."""

from app.pydocs.documents import python_docs
from opportune.jobs import JobContext, job, run_command


@job("pydocs.index_python", attempts=3, wait=10)
async def index_python(run: JobContext) -> None:
    """In a process of its own: thousands of texts would keep this one from its visitors."""
    address = python_docs.url(run.settings).url.render_as_string(hide_password=False)
    await run_command("pydocs", "index", environ={python_docs.setting: address})
