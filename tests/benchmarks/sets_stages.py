"""What is taken of one simulated detector: the stages, each with and without faults at limits."""

from __future__ import annotations

from dataclasses import replace

from sets_biases import biases
from sets_camera import Stand
from sets_curves import faint_sequence, faulty_sequence, faulty_shape, sequence
from sets_found import Found
from sets_pairs import pairs, spots
from sets_stacks import bad_pixels, certified_bias, darks

STAGES = {
    "sequence": sequence,
    "faulty_sequence": faulty_sequence,
    "faulty_shape": faulty_shape,
    "faint_sequence": faint_sequence,
    "pairs": pairs,
    "spots": spots,
    "darks": darks,
    "bad_pixels": bad_pixels,
    "biases": biases,
}


def run(number: int, seed: int, rows: int, only: str = "") -> Found:
    """Take everything of one detector, or the stages that are named, by comma."""
    stand, found = Stand.of(number, seed, rows), Found()
    known = replace(stand.certified(), bias=certified_bias(stand))
    for name in only.split(",") if only else STAGES:
        STAGES[name](stand, known, found)
    return found
