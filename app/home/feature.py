from app.home.pages import router
from opportune.feature import Feature

home = Feature(name="home", summary="This page. Put your own in its place.", pages=router)
