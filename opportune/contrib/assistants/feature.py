from opportune.contrib.assistants import api, pages
from opportune.contrib.assistants.memory import memory_tools
from opportune.contrib.assistants.models import Assistant, Memory, MemoryConsent, Prompt
from opportune.contrib.assistants.teams import of_deleted_team
from opportune.feature import Accounts, Admin, Cleanup, Feature, Jobs, PersonalData, Process

assistants = Feature(
    "assistants",
    "Language models with a name, instructions and tools, which users, teams and the site own.",
    requires=("answers",),
    models=(Assistant, Prompt, Memory, MemoryConsent),
    # The paths of prompts and of the memory come before `/assistants/{id}`.
    pages=(pages.prompt_router, pages.memory_router, pages.assistant_router),
    api=api.routers,
    admin=Admin("opportune.contrib.assistants.admin"),
    accounts=Accounts(
        personal_data=PersonalData(
            summary="Your assistants and prompts, and what models remember about you",
            owners=[Assistant.owner_id, Prompt.owner_id, Memory.owner_id, MemoryConsent.owner_id],
        )
    ),
    jobs=Jobs(
        cleanups=(
            Cleanup(Assistant, lambda _: of_deleted_team(Assistant)),
            Cleanup(Prompt, lambda _: of_deleted_team(Prompt)),
        )
    ),
    process=Process(lifespan=memory_tools),
)
