from opportune.contrib.ag_ui import api
from opportune.feature import Feature

ag_ui = Feature("ag_ui", "Answers as events of AG-UI, for other front ends.", requires=("answers",), api=api.router)
