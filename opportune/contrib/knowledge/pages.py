"""Pages of collections and their documents, and the text of a document with a marked passage."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel, Field, ValidationError

from opportune.accounts.dependencies import CurrentUser
from opportune.contrib.knowledge.models import KnowledgeCollection, KnowledgeDocument
from opportune.contrib.knowledge.passages import find_passages, readable_passages
from opportune.contrib.knowledge.service import PASSAGES_PER_PAGE, Collections, Documents, StoredFile, page_of_passage
from opportune.crud import CrudPages, reading, writing
from opportune.crud.routes import open_crud
from opportune.db import DatabaseDependency, RowId
from opportune.fields.addresses import Url
from opportune.fields.files import file_columns_of
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.pagination import MAX_PAGE, Paging
from opportune.search import SearchQuery
from opportune.search.questions import key_words
from opportune.storage import Storage, StorageDependency, StorageError
from opportune.storage.storage import deleting_files_on_error
from opportune.web import Form, RateLimit, Upload, flash, is_htmx, read_form, redirect, templates

ReadCollections = Annotated[Collections, reading(Collections, "list")]
WriteCollections = Annotated[Collections, writing(Collections, "update")]
NOTHING_SENT = _l("Please choose files, or enter the address of a web page.")


class DocumentsForm(BaseModel):
    files: list[Upload] = Field([], title="Files", description="PDF, Word, Excel, PowerPoint, HTML, Markdown or text.")
    url: Url = Field("", title="Web page", examples=["https://"])


class TextQuery(Paging):
    passage: int = Field(0, ge=0, le=MAX_PAGE * PASSAGES_PER_PAGE)


class CollectionPages(CrudPages[KnowledgeCollection]):
    name, plural = "Collection", "Documents"
    columns = ("name", "description", "is_site", "created_at")

    async def get_context(self, request: Request, crud: Collections, row: KnowledgeCollection) -> dict[str, Any]:
        paging = Paging()
        with suppress(ValidationError):
            paging = Paging.model_validate({"page": request.query_params.get("page", 1)})
        documents = await Documents(crud).list(row.id, paging)
        shown = await Documents(crud).shown(documents.items)
        is_reading = any(not document.state.is_final for document in shown)
        return {"documents": documents, "shown": shown, "is_reading": is_reading, "form": Form(DocumentsForm)}


collection_pages = CollectionPages(Collections, "/knowledge")
router = collection_pages.router


@router.get("/search")
async def search(request: Request, collections: ReadCollections, query: Annotated[SearchQuery, Query()]) -> Response:
    passages = await find_passages(collections.session, query.q, readable_passages(collections), query.size)
    context = {"passages": passages, "query": query.q, "words": " ".join(key_words(query.q))}
    if is_htmx(request):
        return templates.render_block(request, "knowledge/search.html", "found", context)
    return templates.render(request, "knowledge/search.html", context)


@router.post("/{collection_id}/documents", dependencies=[Depends(RateLimit("knowledge.add", 60))])
async def add_documents(
    request: Request, user: CurrentUser, database: DatabaseDependency, storage: StorageDependency, collection_id: RowId
) -> Response:
    """Store files, or the address of a web page. Jobs read them."""
    form = await read_form(request, DocumentsForm)
    async with database.reader() as session:
        await Documents(await open_crud(Collections, request, session, user)).require_writable(collection_id)
    if form.data and not (form.data.files or form.data.url):
        form.refuse(NOTHING_SENT, "files")
    if form.data and not form.errors:
        try:
            async with _stored_files(storage, form.data.files) as files, database.writer() as session:
                documents = Documents(await open_crud(Collections, request, session, user))
                await documents.add(collection_id, files, form.data.url)
            return redirect(request, f"/knowledge/{collection_id}")
        except StorageError as error:
            form.refuse(str(error), "files", error.status)
    async with database.reader() as session:
        collections = await open_crud(Collections, request, session, user)
        return await collection_pages.get(request, collections, collection_id, form)


@asynccontextmanager
async def _stored_files(storage: Storage, uploads: Sequence[Upload]) -> AsyncIterator[list[StoredFile]]:
    """Store uploads without an open transaction."""
    column = file_columns_of(KnowledgeDocument)["file"]
    async with deleting_files_on_error(storage) as names:
        for upload in uploads:
            names.append(await column.save(storage, upload))
        yield [StoredFile(upload.filename, name) for upload, name in zip(uploads, names, strict=True)]


@router.get("/documents/{document_id}")
async def show_text(
    request: Request,
    collections: ReadCollections,
    storage: StorageDependency,
    document_id: RowId,
    query: Annotated[TextQuery, Query()],
) -> Response:
    documents = Documents(collections)
    document = await documents.get(document_id)
    page = page_of_passage(query.passage) if query.passage else query.page
    context = {
        "document": document,
        "collection": await collections.get(document.collection_id),
        "passages": await documents.list_passages(document, page),
        "marked": query.passage,
        "original": document.link or (document.file and await storage.url(document.file, download_as=document.title)),
    }
    return templates.render(request, "knowledge/text.html", context)


@router.post("/documents/{document_id}/read")
async def read_again(request: Request, collections: WriteCollections, document_id: RowId) -> Response:
    document = await Documents(collections).read_again(document_id)
    return redirect(request, f"/knowledge/{document.collection_id}")


@router.post("/documents/{document_id}/delete")
async def delete_document(request: Request, collections: WriteCollections, document_id: RowId) -> Response:
    document = await Documents(collections).delete(document_id)
    flash(request, _("“%(title)s” is deleted.", title=document.title))
    return redirect(request, f"/knowledge/{document.collection_id}")
