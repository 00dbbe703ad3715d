"""The panel of a document beside the messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.chat.documents import Documents
from app.chat.models import Document, DocumentVersion
from app.chat.schemas import DocumentForm
from opportune.contrib.answers import AnswerManager, ShownAnswer
from opportune.web import Form


@dataclass(frozen=True)
class DocumentView:
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
