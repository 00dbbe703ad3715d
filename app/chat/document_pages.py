"""Open, save and export documents."""

from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.responses import Response

from app.chat.chat_page import CurrentPage
from app.chat.conversation_view import view_conversation
from app.chat.dependencies import CurrentAnswer
from app.chat.document_view import read_panel
from app.chat.documents import DocumentChanged, Documents, code_blocks, write_document
from app.chat.models import Document
from app.chat.schemas import MAX_DOCUMENT_LENGTH, DocumentCreate, DocumentForm
from opportune.accounts import CurrentUser
from opportune.contrib.answers import AnswerRunning, Answers, refusals_in
from opportune.db import RowId
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.web import APIRouter, flash, is_htmx, read_form, redirect, templates

router = APIRouter(prefix="/chat")

CHANGED = _l("The document has changed since you opened it. Your text is still here. Save again to make it the newest.")
REFUSALS: dict[type[Exception], str] = {AnswerRunning: _l("The model is still writing. Wait for it or stop it.")}


async def get_document(document_id: RowId, user: CurrentUser, answers: Answers) -> Document:
    async with answers.database.reader() as session:
        document = await Documents(session, user.id).get(document_id)
    if document is None:
        raise HTTPException(404)
    return document


CurrentDocument = Annotated[Document, Depends(get_document)]


def document_path(document: Document) -> str:
    return f"/chat/{document.conversation_id}?document={document.id}#document"


@router.post("/messages/{message_id}/document")
async def create_document(request: Request, user: CurrentUser, answers: Answers, message: CurrentAnswer) -> Response:
    """Open an answer, or one of its code blocks, as a document."""
    form = await read_form(request, DocumentCreate)
    text = message.answer.markdown if message.answer and not message.is_running else ""
    if form.data and form.data.block:
        blocks = dict(enumerate(code_blocks(text), start=1))
        text = blocks.get(form.data.block, "")
    if not text or len(text) > MAX_DOCUMENT_LENGTH:
        flash(request, _("This answer cannot be edited: it is empty, incomplete or too long."), "warning")
        return redirect(request, f"/chat/{message.conversation_id}")
    async with answers.database.writer() as session:
        document = await Documents(session, user.id).create(message, text)
    return redirect(request, document_path(document))


@router.post("/documents/{document_id}")
async def save_document(
    request: Request, user: CurrentUser, answers: Answers, page: CurrentPage, document: CurrentDocument
) -> Response:
    """Save the text, and ask the model to change it if the form has an instruction."""
    form = await read_form(request, DocumentForm)
    if form.data:
        with refusals_in(form, "instruction", REFUSALS):
            try:
                await write_document(answers, user.id, document.id, form.data)
            except DocumentChanged:
                form.refuse(str(CHANGED), "text", 409)
    panel = await read_panel(answers, user.id, document.id, form=form)
    if is_htmx(request):
        return templates.render_block(request, "chat/document.html", "document", panel, form.status)
    if not form.errors:
        return redirect(request, document_path(document))
    view = await view_conversation(answers, user.id, document.conversation_id)
    return await page.show(view, panel=panel, status=form.status)


@router.get("/documents/{document_id}/export")
async def export_document(user: CurrentUser, answers: Answers, document: CurrentDocument) -> Response:
    """Download the current version as Markdown."""
    async with answers.database.reader() as session:
        texts = await Documents(session, user.id).texts(document)
    headers = {
        "Content-Disposition": f'attachment; filename="document-{document.id}.md"',
        "Cache-Control": "no-store",
    }
    return Response(f"{texts[document.version]}\n", headers=headers, media_type="text/markdown")
