from app.core.feature import Feature
from app.features.home.pages import router

home = Feature(name="home", summary="This page. Put your own in its place.", pages=router)
