"""The installed features. Add yours here; to remove one, delete its line and its folders."""

from app.chat.feature import chat
from app.contacts.feature import contacts
from app.events.feature import events
from app.home.feature import home
from app.pydocs.feature import pydocs
from app.todos.feature import todos
from app.users.feature import users
from opportune.feature import Feature
from opportune.features import (
    accounts,
    admin,
    agents,
    answers,
    assistants,
    backup,
    copydb,
    dashboard,
    database_cache,
    deploy,
    doctor,
    documentation,
    documents,
    dumps,
    import_export,
    inspectdb,
    jobs,
    knowledge,
    llm,
    mcp,
    palette,
    reports,
    request_panel,
    row_versions,
    saved_views,
    teams,
    telemetry,
    welcome,
)

INSTALLED: tuple[Feature, ...] = (
    accounts,
    users,
    admin,
    dashboard,
    saved_views,
    reports,
    row_versions,
    import_export,
    jobs,
    llm,
    answers,
    assistants,
    database_cache,
    telemetry,
    request_panel,
    backup,
    doctor,
    deploy,
    copydb,
    dumps,
    inspectdb,
    documentation,
    documents,
    mcp,
    palette,
    teams,
    knowledge,
    welcome,
    agents,
    home,
    chat,
    todos,
    pydocs,
    events,
    contacts,
)
