"""Every target lives through its seeds and some hundred changes of them; `run.py` does the rest."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from targets import TARGETS

TRIES = {"calibration": 20, "raw": 15, "header": 20}


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_nothing_comes_out_but_what_is_meant(name: str) -> None:
    target, chance = TARGETS[name], random.Random(name)
    begin = target.begin()
    for content in begin:
        target.call(content)
    for _ in range(TRIES.get(name, 300)):
        content = bytearray(chance.choice(begin))
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        target.call(bytes(content[: chance.randint(1, len(content))]))
