"""Recorded questions, and answers read aloud."""

from fastapi import HTTPException, Request
from fastapi.responses import Response
from pydantic import BaseModel

from opportune.accounts.dependencies import CurrentUser
from opportune.contrib.answers.engine.speech import find_speech, make_speech
from opportune.contrib.answers.screens.dependencies import Answers, CurrentAnswer
from opportune.contrib.llm import LanguageModel, Llm, LlmError
from opportune.storage.routes import file_headers, file_response
from opportune.web import APIRouter, Upload, is_htmx, read_form, redirect, templates

router = APIRouter(prefix="/answers")

MICROPHONE = "camera=(), geolocation=(), microphone=(self)"
MAX_AGE_SECONDS = 3_600


class Recording(BaseModel):
    recording: Upload


def allow_microphone(response: Response, llm: LanguageModel) -> None:
    """Let the page of this response use the microphone, if the site has a model that writes down recordings."""
    if llm.offers("transcription"):
        response.headers["Permissions-Policy"] = MICROPHONE


@router.post("/transcriptions")
async def transcribe(request: Request, user: CurrentUser, llm: Llm) -> dict[str, str]:
    """Return the words of a recording, for the field of a question."""
    form = await read_form(request, Recording)
    if form.data is None:
        raise HTTPException(422, " ".join(form.errors.values()))
    recording = form.data.recording
    try:
        return {"text": await llm.transcribe(recording.content, recording.filename)}
    except LlmError as error:
        if error.code == "rejected":  # the recording, not the model, is at fault
            raise HTTPException(422, str(error)) from None
        raise


@router.post("/{answer_id}/speech")
async def read_aloud(request: Request, answer: CurrentAnswer, answers: Answers, llm: Llm) -> Response:
    """Make the audio of an answer once, and play it."""
    if answer.is_running or not answer.text:
        raise HTTPException(409)
    await make_speech(answers.database, answers.storage, llm, answer)
    if is_htmx(request):
        return templates.render_block(request, "answers/player.html", "player", {"answer": answer})
    return redirect(request, f"/answers/{answer.id}/speech")


@router.get("/{answer_id}/speech")
async def speech(request: Request, answer: CurrentAnswer, answers: Answers) -> Response:
    """Return the audio of an answer to its owner."""
    row = await find_speech(answers.database, answer)
    if row is None:
        raise HTTPException(404)
    headers = file_headers(row.stored_as, "", MAX_AGE_SECONDS)
    headers |= {"Content-Type": row.content_type, "Content-Disposition": "inline"}
    return await file_response(request, answers.storage, row.stored_as, headers)
