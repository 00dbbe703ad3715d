"""The project on disk: its folder, its installed features, and files that are written completely or not at all."""
