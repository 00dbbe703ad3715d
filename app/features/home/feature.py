from app.core.feature import Feature
from app.features.home.pages import router

home = Feature(name="home", summary="The landing page.", pages=router)
