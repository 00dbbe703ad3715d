from opportune.contrib.answers_media import voice
from opportune.contrib.answers_media.pictures import offer_pictures
from opportune.feature import Feature, Site

answers_media = Feature(
    "answers_media",
    "Spoken questions, answers read aloud, and pictures in answers.",
    requires=("answers", "llm_media"),
    pages=voice.router,
    site=Site(init_app=offer_pictures),
)
