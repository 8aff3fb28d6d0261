"""How calwatch learns that there is work: comparing the Butler with the ledger, and events."""
