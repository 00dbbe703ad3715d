from app.core.feature import Demo, Feature, Link
from app.features.chat import demo
from app.features.chat.admin import ConversationAdmin, MessageAdmin
from app.features.chat.api import router as api
from app.features.chat.lifespan import running_answers
from app.features.chat.models import AnswerChunk, Conversation, Message
from app.features.chat.pages import router as pages

chat = Feature(
    name="chat",
    summary="Ask a language model and watch it answer; answers survive reloads, lost connections and restarts.",
    models=(Conversation, Message, AnswerChunk),
    pages=pages,
    api=api,
    admin=(ConversationAdmin, MessageAdmin),
    navigation=(Link("Chat", "/chat", "message-circle"),),
    demo=Demo(demo.load, demo.clear),
    lifespan=running_answers,
)
