"""Files attached to a question: pictures and the text of documents."""
