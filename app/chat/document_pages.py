"""Open, save and export documents."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request
from fastapi.responses import Response

from app.chat.chat_page import CurrentPage, download
from app.chat.conversation_view import view_conversation
from app.chat.dependencies import CurrentAnswer
from app.chat.documents import DocumentChanged, Documents, code_blocks, write_document
from app.chat.models import Document, DocumentVersion
from app.chat.schemas import MAX_DOCUMENT_LENGTH, DocumentCreate, DocumentForm
from opportune.accounts import CurrentUser
from opportune.contrib.answers import AnswerManager, AnswerRunning, Answers, ShownAnswer, refusals_in
from opportune.db import RowId
from opportune.errors import require_found
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.web import APIRouter, Form, flash, is_htmx, read_form, redirect, templates


class DocumentView(NamedTuple):
    """A document with its versions, newest first."""

    document: Document
    versions: Sequence[DocumentVersion]
    shown: DocumentVersion
    """The version in the field."""
    answer: ShownAnswer | None
    """The running or failed answer of the newest version."""

    @property
    def is_changed(self) -> bool:
        """True if the model has finished a version whose base is no longer current."""
        newest = self.versions[0]
        return bool(newest.model and newest.text) and newest.number > self.document.version

    @property
    def saved_versions(self) -> list[DocumentVersion]:
        return [version for version in self.versions if version.text]


async def read_panel(
    answers: AnswerManager, owner_id: int, document_id: int, number: int = 0, form: Form[Any] | None = None
) -> Mapping[str, Any]:
    """Return the context of the panel, or an empty one if the user has no such document.

    Args:
        answers: The answers of the site.
        owner_id: The user.
        document_id: The document.
        number: Version to show, by default the current one.
        form: A refused form, whose text stays in the field.
    """
    async with answers.database.reader(fresh=True) as session:
        documents = Documents(session, owner_id)
        document = await documents.get(document_id) if document_id else None
        if document is None:
            return {}
        versions = await documents.versions(document)
        newest = versions[0]
        answer = await answers.find(newest.answer_id, owner_id) if newest.answer_id and not newest.text else None
    by_number = {version.number: version for version in versions}
    shown = by_number.get(number) or by_number[document.version]
    view = DocumentView(document, versions, shown, await answers.shown(answer) if answer else None)
    if form is None or not form.errors:
        form = Form(DocumentForm, {"text": shown.text})
    # A save replaces the current version, which the page shows or names.
    return {"panel": view, "panel_form": form, "panel_version": document.version}


router = APIRouter(prefix="/chat")

CHANGED = _l("The document has changed since you opened it. Your text is still here. Save again to make it the newest.")
REFUSALS: dict[type[Exception], str] = {AnswerRunning: _l("The model is still writing. Wait for it or stop it.")}


async def get_document(document_id: RowId, user: CurrentUser, answers: Answers) -> Document:
    async with answers.database.reader() as session:
        return require_found(await Documents(session, user.id).get(document_id))


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
    return download(f"{texts[document.version]}\n", f"document-{document.id}.md", "text/markdown")
