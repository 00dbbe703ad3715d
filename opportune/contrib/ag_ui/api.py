from fastapi import Request

from opportune.accounts import CurrentUser
from opportune.contrib.ag_ui.runs import AgUiInput, run_agent
from opportune.contrib.answers import Answers
from opportune.web import APIRouter, EventStream

router = APIRouter(prefix="/ag-ui", tags=["ag-ui"])


@router.post("", response_class=EventStream)
async def run(request: Request, user: CurrentUser, answers: Answers, data: AgUiInput) -> EventStream:
    """Run an agent: the body is a `RunAgentInput` of AG-UI, and the response has its events."""
    return await run_agent(request, answers, user, data, topic="ag_ui")
