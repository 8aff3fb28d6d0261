"""The daemon: reading, judging and recording in a pool of workers until told to stop."""
