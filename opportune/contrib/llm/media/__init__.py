"""Models for pictures, speech, transcription and reranking."""
