"""Language models: one interface for OpenAI-compatible endpoints, a local model and custom providers."""

from typing import TYPE_CHECKING

from opportune.config.llm_models import MAX_MODEL_NAME_LENGTH, EmbeddingModel, LlmModel
from opportune.llm.documents.attachment import (
    MAX_ATTACHMENTS,
    Attachment,
    AttachmentRefused,
    as_data,
    attach,
    read_attachment,
    require_sight,
)
from opportune.llm.embeddings.embedder import Embedded, Embedder
from opportune.llm.language_model import LanguageModel, Llm, open_llm
from opportune.llm.providers.errors import error_for_status
from opportune.llm.providers.factory import make_provider, missing_library, models_of
from opportune.llm.providers.fake import FakeProvider
from opportune.llm.providers.provider import (
    Chunk,
    Done,
    ErrorCode,
    LLMError,
    Message,
    Picture,
    Provider,
    Reasoning,
    Timeouts,
    ToolCall,
    ToolSchema,
    estimate_tokens,
)
from opportune.llm.spending.call_guard import SpendingRefused
from opportune.runtime.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from opportune.llm.answers.attachments import SentFile, delete_attachments, find_attachments, stored_attachments
    from opportune.llm.answers.dependencies import Answers, StreamPosition, stream_json
    from opportune.llm.answers.errors import AnswerRunning, QuestionTooLong, TooManyAnswers
    from opportune.llm.answers.events import AnswerStream, answer_gone, parse_event_id
    from opportune.llm.answers.hooks import after_answer
    from opportune.llm.answers.manager import AnswerManager
    from opportune.llm.answers.models import Answer, AnswerAttachment, AnswerStatus
    from opportune.llm.answers.question import FileQuestionForm, QuestionForm, ask_by_form, refusals_in
    from opportune.llm.answers.schemas import AnswerFields, StreamEvent
    from opportune.llm.answers.shown import ShownAnswer, show_answer

__all__ = [
    "MAX_ATTACHMENTS",
    "MAX_MODEL_NAME_LENGTH",
    "Answer",
    "AnswerAttachment",
    "AnswerFields",
    "AnswerManager",
    "AnswerRunning",
    "AnswerStatus",
    "AnswerStream",
    "Answers",
    "Attachment",
    "AttachmentRefused",
    "Chunk",
    "Done",
    "Embedded",
    "Embedder",
    "EmbeddingModel",
    "ErrorCode",
    "FakeProvider",
    "FileQuestionForm",
    "LLMError",
    "LanguageModel",
    "Llm",
    "LlmModel",
    "Message",
    "Picture",
    "Provider",
    "QuestionForm",
    "QuestionTooLong",
    "Reasoning",
    "SentFile",
    "ShownAnswer",
    "SpendingRefused",
    "StreamEvent",
    "StreamPosition",
    "Timeouts",
    "TooManyAnswers",
    "ToolCall",
    "ToolSchema",
    "after_answer",
    "answer_gone",
    "as_data",
    "ask_by_form",
    "attach",
    "delete_attachments",
    "error_for_status",
    "estimate_tokens",
    "find_attachments",
    "make_provider",
    "missing_library",
    "models_of",
    "open_llm",
    "parse_event_id",
    "read_attachment",
    "refusals_in",
    "require_sight",
    "show_answer",
    "stored_attachments",
    "stream_json",
]

__getattr__ = lazy_exports(
    __name__,
    {
        ".answers.attachments": ("SentFile", "delete_attachments", "find_attachments", "stored_attachments"),
        ".answers.dependencies": ("Answers", "StreamPosition", "stream_json"),
        ".answers.events": ("AnswerStream", "answer_gone", "parse_event_id"),
        ".answers.hooks": ("after_answer",),
        ".answers.question": ("FileQuestionForm", "QuestionForm", "ask_by_form", "refusals_in"),
        ".answers.manager": ("AnswerManager",),
        ".answers.models": ("Answer", "AnswerAttachment", "AnswerStatus"),
        ".answers.errors": ("AnswerRunning", "QuestionTooLong", "TooManyAnswers"),
        ".answers.schemas": ("AnswerFields", "StreamEvent"),
        ".answers.shown": ("ShownAnswer", "show_answer"),
    },
)
