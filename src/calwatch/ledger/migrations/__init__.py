"""How the schema of the ledger came to be, step by step."""
