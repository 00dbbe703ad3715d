"""Static files: their URLs and responses, icons, logo and typeface."""
