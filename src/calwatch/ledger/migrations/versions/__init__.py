"""One file per step of the schema; each is kept as it was released."""
