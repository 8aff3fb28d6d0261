"""Only what is done may be committed, and nothing beyond what is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from calwatch.service.offsets import Offsets


@given(st.data())
def test_committed_is_exactly_what_is_done_without_a_gap(data: st.DataObject) -> None:
    sizes = data.draw(st.dictionaries(st.integers(0, 3), st.integers(1, 12)), label="sizes")
    order = data.draw(
        st.permutations([(p, o) for p, size in sizes.items() for o in range(size)]), label="order"
    )
    offsets: Offsets[int] = Offsets()
    for partition, size in sizes.items():
        for offset in range(size):
            offsets.begin(partition, offset)
    done: set[tuple[int, int]] = set()
    committed: dict[int, int] = {}
    for partition, offset in order:
        offsets.done(partition, offset)
        done.add((partition, offset))
        for which, following in offsets.take().items():
            assert following > committed.get(which, 0)
            committed[which] = following
        for which, size in sizes.items():
            gapless = next((o for o in range(size) if (which, o) not in done), size)
            assert committed.get(which, 0) == gapless
    assert offsets.in_hand == 0


def test_a_partition_that_is_gone_is_forgotten() -> None:
    offsets: Offsets[str] = Offsets()
    offsets.begin("a", 7)
    offsets.begin("b", 1)
    offsets.forget("a")
    offsets.done("a", 7)
    offsets.done("b", 1)
    assert offsets.take() == {"b": 2}
