from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Response

from app.chat import answering
from app.chat.dependencies import (
    CurrentAnswer,
    CurrentConversation,
    CurrentConversationView,
    CurrentMessage,
    CurrentQuestion,
    CurrentStream,
)
from app.chat.export import to_data
from app.chat.models import Conversation, Message, Share
from app.chat.schemas import (
    AttachmentRead,
    ConversationCreate,
    ConversationDetail,
    ConversationExport,
    ConversationFilter,
    ConversationRead,
    ConversationSettings,
    ConversationUpdate,
    MessageCreated,
    MessageRead,
    QuestionCreate,
    ShareRead,
)
from app.chat.search import ChatHit
from app.chat.search import search as search_conversations
from app.chat.service import Chat, QuestionTooLongError
from app.chat.sharing import NothingToShareError, Shares
from opportune.accounts import AccountOwner, CurrentUser, User
from opportune.db import ReadSession, RowId, WriteSession
from opportune.llm import AnswerManager, Answers, AnswerStream
from opportune.pagination import Page, Paging
from opportune.search import SearchQuery, SearchResults
from opportune.web import EventStream

router = APIRouter(prefix="/conversations", tags=["chat"])


@router.get("", response_model=Page[ConversationRead])
async def conversations(
    user: CurrentUser, session: ReadSession, wanted: Annotated[ConversationFilter, Query()]
) -> Page[Conversation]:
    return await Chat(session, user.id).conversations(wanted)


@router.post("", status_code=202)
async def begin(ask: ConversationCreate, user: CurrentUser, answers: Answers, response: Response) -> MessageCreated:
    """Start a new conversation with a question. `Location` is its address."""
    created = _asked(*await _ask(answers, user, None, ask, settings=ask))
    response.headers["Location"] = f"/api/v1/conversations/{created.conversation}"
    return created


@router.get("/search")
async def search(
    user: CurrentUser, session: ReadSession, asked: Annotated[SearchQuery, Query()]
) -> SearchResults[ChatHit]:
    """Titles, questions and answers, the newest first; the last word may be unfinished."""
    return await search_conversations(session, user.id, asked)


@router.get("/shares", response_model=Page[ShareRead])
async def shares(user: CurrentUser, session: ReadSession, wanted: Annotated[Paging, Query()]) -> Page[Share]:
    return await Shares(session, user.id).list(wanted)


@router.delete("/shares/{share_id}", status_code=204)
async def take_back(user: CurrentUser, session: WriteSession, share_id: RowId) -> None:
    if not await Shares(session, user.id).remove(share_id):
        raise HTTPException(404)


@router.post("/{conversation_id}/shares", status_code=201, response_model=ShareRead)
async def share(user: AccountOwner, session: WriteSession, conversation: CurrentConversation) -> Share:
    """Let anybody who has the link read what is shown now, without a name; what follows stays private."""
    try:
        return await Shares(session, user.id).add(conversation)
    except NothingToShareError:
        raise HTTPException(409, "There is nothing to share yet: wait until the answer is whole.") from None


@router.get("/{conversation_id}")
async def conversation(view: CurrentConversationView) -> ConversationDetail:
    """The newest messages of the shown branch, in order.

    `?before=` what `earlier` says gives those before them, and `?at=` those around a message, whatever its branch.
    """
    messages = [MessageRead.of(message, view.branches[message.id]) for message in view.messages]
    read = ConversationRead.model_validate(view.conversation)
    files = [AttachmentRead.model_validate(file) for _, file in sorted(view.files.items())]
    return ConversationDetail(**read.model_dump(), messages=messages, attachments=files, earlier=view.earlier)


@router.patch("/{conversation_id}", response_model=ConversationRead)
async def update(
    changes: ConversationUpdate, user: CurrentUser, answers: Answers, conversation: CurrentConversation
) -> Conversation:
    """Rename it, or change who answers, and how, from the next answer on."""
    return await answering.configure(answers, user.id, conversation, changes)


@router.delete("/{conversation_id}", status_code=204)
async def delete(user: CurrentUser, answers: Answers, conversation: CurrentConversation) -> None:
    """Delete it with its answers, files and links; what is being written stops."""
    await answering.delete(answers, user.id, conversation)


@router.get("/{conversation_id}/export")
async def export(user: CurrentUser, session: ReadSession, conversation: CurrentConversation) -> ConversationExport:
    """All that was said in it, on every branch. The page offers it as Markdown too."""
    return to_data(conversation, await Chat(session, user.id).all_messages(conversation.id))


@router.post("/{conversation_id}/messages", status_code=202)
async def ask(
    ask: QuestionCreate, user: CurrentUser, answers: Answers, conversation: CurrentConversation
) -> MessageCreated:
    """Ask, and read the answer from `stream_url` as it comes."""
    return _asked(*await _ask(answers, user, conversation.id, ask))


async def _ask(
    answers: AnswerManager,
    user: User,
    conversation_id: int | None,
    ask: QuestionCreate,
    instead_of: Message | None = None,
    settings: ConversationSettings | None = None,
) -> tuple[Message, Message]:
    try:
        return await answering.ask(
            *(answers, user.id, conversation_id, ask), instead_of=instead_of, files=ask.attachments, settings=settings
        )
    except QuestionTooLongError as refusal:
        raise HTTPException(422, str(refusal)) from None


def _asked(question: Message, answer: Message) -> MessageCreated:
    return MessageCreated(
        conversation=question.conversation_id,
        message=MessageRead.of(question),
        answer=MessageRead.of(answer),
        stream_url=f"/api/v1/conversations/{question.conversation_id}/stream",
    )


async def get_existing_stream(user: CurrentUser, answer_stream: CurrentStream) -> AnswerStream:
    if answer_stream is None:
        raise HTTPException(404)
    return answer_stream


@router.get("/{conversation_id}/stream", response_class=EventStream)
async def stream(
    answer_stream: Annotated[AnswerStream, Depends(get_existing_stream)],
) -> EventStream:
    """The newest answer as `status`, `delta` (with `text`) and one `done` or `error`. `Last-Event-ID` resumes.

    After 15 seconds of silence comes a comment: where nothing comes for 40, the connection is lost.
    """
    return EventStream(answer_stream.json("message_id"))


async def check_place(conversation_id: RowId, message: CurrentMessage) -> None:
    if message.conversation_id != conversation_id:
        raise HTTPException(404)


messages = APIRouter(
    prefix="/conversations/{conversation_id}/messages/{message_id}", tags=["chat"], dependencies=[Depends(check_place)]
)


@messages.post("/stop", status_code=204)
async def stop(answer: CurrentAnswer, answers: Answers) -> None:
    await answering.stop(answers, answer)


@messages.post("/edit", status_code=202)
async def edit(ask: QuestionCreate, user: CurrentUser, question: CurrentQuestion, answers: Answers) -> MessageCreated:
    """Ask something else in the place of a question: another branch, which is shown from now on."""
    return _asked(*await _ask(answers, user, question.conversation_id, ask, instead_of=question))


@messages.post("/retry", status_code=202)
async def retry(user: CurrentUser, answer: CurrentAnswer, answers: Answers) -> MessageCreated:
    """Answer the same question once more: another branch, which is shown from now on."""
    return _asked(*await answering.retry(answers, user.id, answer))


@messages.post("/continue", status_code=202)
async def resume(answer: CurrentAnswer, answers: Answers) -> MessageRead:
    """Have an answer that broke off go on."""
    return MessageRead.of(await answering.resume(answers, answer))


@messages.post("/show", status_code=204)
async def show(user: CurrentUser, message: CurrentMessage, session: WriteSession) -> None:
    """Show the branch of this message from now on; where it has several itself, the one that was used last."""
    await Chat(session, user.id).show(message)
