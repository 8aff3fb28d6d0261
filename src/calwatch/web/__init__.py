"""The page and the HTTP interface: what is wrong now, and who knows of it."""
