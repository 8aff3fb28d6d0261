"""What there is to do: the Butler compared with the ledger, and what wakes that comparison."""
