"""The ISR in one pass over a few rows of all amplifiers at a time, which stay in the cache."""
