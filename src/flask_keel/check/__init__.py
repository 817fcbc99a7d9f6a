"""`db check`: may this history be merged? Asked without any database of the application."""
