"""Instrument signature removal: each step its own function, chained in the order of IsrTaskLSST."""
