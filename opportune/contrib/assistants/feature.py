from opportune.contrib.assistants import api, pages
from opportune.contrib.assistants.models import Assistant
from opportune.contrib.assistants.sharing import of_deleted_team
from opportune.feature import Accounts, Admin, Cleanup, Feature, Jobs, PersonalData

assistants = Feature(
    "assistants",
    "Language models with a name, instructions and tools, which users, teams and the site own.",
    requires=("answers",),
    models=(Assistant,),
    pages=pages.router,
    api=api.router,
    admin=Admin("opportune.contrib.assistants.admin"),
    accounts=Accounts(personal_data=PersonalData(summary="Your assistants", owners=[Assistant.owner_id])),
    jobs=Jobs(cleanups=(Cleanup(Assistant, lambda _: of_deleted_team(Assistant)),)),
)
