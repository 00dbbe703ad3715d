from fastapi import FastAPI

from opportune.contrib.ag_ui import api
from opportune.contrib.ag_ui.protocol import require_package
from opportune.feature import Feature, Site


def _init_app(_app: FastAPI) -> None:
    require_package()


ag_ui = Feature(
    "ag_ui",
    "Answers as events of AG-UI, for other front ends.",
    requires=("answers",),
    api=api.router,
    site=Site(init_app=_init_app),
)
