"""Job that builds the index with the command."""

from app.pydocs.documents import python_docs
from opportune.jobs import JobContext, job, run_command


@job("pydocs.index_python", attempts=3, wait=10)
async def index_python(run: JobContext) -> None:
    """Build the index in a separate process, because thousands of texts would block this one."""
    index_url = python_docs.url(run.settings).url.render_as_string(hide_password=False)
    await run_command("pydocs", "index", environ={python_docs.setting: index_url})
