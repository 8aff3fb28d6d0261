"""What a processor can do and numba has no word for.

Each function is one idea of LLVM's, put into kernels as it is; on a processor that lacks the
instruction LLVM does the same in more steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from calwatch.arrays import AnyArray, BoolArray, FloatArray, IntArray

LANES = 16
"""Numbers of 32 bits that are worked on together."""
_CACHE_LINE = 64
"""Bytes that come from memory together."""
_FOR_READING, _KEEP_IN_SECOND_LEVEL, _DATA = 0, 2, 1
"""Arguments of LLVM's ``prefetch``."""
_INT32 = ir.IntType(32)
_INTS, _FLOATS = ir.VectorType(_INT32, LANES), ir.VectorType(ir.FloatType(), LANES)
_BYTES, _BITS = ir.VectorType(ir.IntType(8), LANES), ir.VectorType(ir.IntType(1), LANES)


def _element(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Return the address of an element of a one-dimensional C array."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


def _lanes(of: list[int]) -> Any:
    return ir.Constant(_INTS, of)


def _vectors(builder: Any, element: Any, kind: Any) -> Any:
    """Return the address of an element as that of the vector which begins with it."""
    return builder.bitcast(element, kind.as_pointer())


def _function(builder: Any, name: str, result: Any, given: list[Any]) -> Any:
    """Return a function of LLVM's."""
    known = builder.module.globals.get(name)
    return known or ir.Function(builder.module, ir.FunctionType(result, given), name)


@intrinsic
def _ctlz(_typing: Any, _word: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], context.get_constant(types.boolean, False))

    return types.int64(types.uint64), generate


leading_zeros = cast("Callable[[Any], int]", _ctlz)
"""The number of 0 bits before the first 1 of a 64-bit word; 64 if there is no 1."""


@intrinsic
def _prefetch_element(_typing: Any, row: Any, _index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        element = _element(context, builder, signature.args[0], *arguments)
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, _INT32, _INT32, _INT32])
        ask = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        how = [_INT32(_FOR_READING), _INT32(_KEEP_IN_SECOND_LEVEL), _INT32(_DATA)]
        builder.call(ask, [builder.bitcast(element, byte), *how])
        return context.get_dummy_value()

    return types.void(row, types.intp), generate


_prefetch = cast("Callable[[AnyArray, int], None]", _prefetch_element)


@njit(cache=True, nogil=True)
def prefetch_row(row: AnyArray) -> None:
    """Ask for a row of an image before it is needed; nothing changes.

    The processor guesses well which memory comes next where that is one long run, but not beyond a
    page of 4 kB, which is a row of two amplifiers. A pass over all amplifiers together jumps from
    one short run to another besides, and would wait for each of them.
    """
    for x in range(0, row.size, _CACHE_LINE // row.itemsize):
        _prefetch(row, x)
    if row.size:  # a row seldom begins where a line does: its end may lie in one line more
        _prefetch(row, row.size - 1)


@intrinsic
def _running_sums(_typing: Any, row: Any, _count: Any, _first: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, count, first = arguments
        nothing, zeros = ir.Constant(_INTS, ir.Undefined), _lanes([0] * LANES)
        total = cgutils.alloca_once(builder, _INTS)  # type: ignore[no-untyped-call]  # numba's
        start = builder.insert_element(nothing, builder.trunc(first, _INT32), _INT32(0))
        builder.store(builder.shuffle_vector(start, nothing, zeros), total)
        with cgutils.for_range_slice(builder, count.type(0), count, count.type(LANES)) as (x, _):
            element = _element(context, builder, signature.args[0], arguments[0], x)
            place = _vectors(builder, element, _INTS)
            sums = builder.load(place, align=4)
            for distance in (1, 2, 4, 8):
                source = [i - distance if i >= distance else LANES for i in range(LANES)]
                moved = builder.shuffle_vector(sums, zeros, _lanes(source))
                sums = builder.add(sums, moved)
            sums = builder.add(sums, builder.load(total))
            builder.store(sums, place, align=4)
            builder.store(builder.shuffle_vector(sums, nothing, _lanes([LANES - 1] * LANES)), total)
        return context.get_dummy_value()

    return types.void(row, types.intp, types.int64), generate


_sums_of_lanes = cast("Callable[[IntArray, int, int], None]", _running_sums)


@njit(cache=True, nogil=True)
def running_sums(row: IntArray, first: int) -> None:
    """Replace each number by `first` and the sum of all up to it, modulo 2³².

    Sixteen at a time: to each is added the one before it, then the one two before, four, eight
    (Hillis and Steele 1986, doi:10.1145/7902.7903).

    Parameters
    ----------
    row
        Shape (n,), int32.
    first
        What is added to all.
    """
    whole = row.size - row.size % LANES
    _sums_of_lanes(row, whole, first)
    total = np.int64(row[whole - 1]) if whole else first
    for x in range(whole, row.size):
        total += row[x]
        row[x] = total


@intrinsic
def _compress(_typing: Any, values: Any, flags: Any, _index: Any, to: Any, _end: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def address(which: int, index: Any, kind: Any) -> Any:
            element = _element(context, builder, signature.args[which], arguments[which], index)
            return _vectors(builder, element, kind)

        _, _, index, _, end = arguments
        given = builder.load(address(0, index, _FLOATS), align=4)
        flagged = builder.load(address(1, index, _BYTES), align=1)
        chosen = builder.icmp_unsigned("!=", flagged, ir.Constant(_BYTES, [0] * LANES))
        name = f"llvm.experimental.vector.compress.v{LANES}f32"
        compress = _function(builder, name, _FLOATS, [_FLOATS, _BITS, _FLOATS])
        together = builder.call(compress, [given, chosen, ir.Constant(_FLOATS, ir.Undefined)])
        builder.store(together, address(3, end, _FLOATS), align=4)
        number = ir.IntType(LANES)
        count = _function(builder, f"llvm.ctpop.i{LANES}", number, [number])
        return builder.zext(builder.call(count, [builder.bitcast(chosen, number)]), ir.IntType(64))

    return types.int64(values, flags, types.intp, to, types.intp), generate


_append_of_lanes = cast("Callable[[FloatArray, BoolArray, int, FloatArray, int], int]", _compress)


@njit(cache=True, nogil=True)
def append_flagged(values: FloatArray, flags: BoolArray, to: FloatArray, n: int) -> int:
    """Append the flagged values to the first `n` of an array; there is no branch to guess.

    Parameters
    ----------
    values, flags
        Shape (m,), float32 and bool.
    to
        Shape (n + m + `LANES` or more,): values from `n` on are overwritten, and up to `LANES` more
        than are appended.
    n
        How many it holds.

    Returns
    -------
    int
        How many it holds now.

    Raises
    ------
    ValueError
        If there are not so many flags, or `to` is too small.
    """
    if flags.size < values.size or to.size < n + values.size + LANES:
        raise ValueError("the values do not fit into the array")
    whole = values.size - values.size % LANES
    for x in range(0, whole, LANES):
        n += _append_of_lanes(values, flags, x, to, n)
    for x in range(whole, values.size):
        to[np.uintp(n)] = values[x]  # unsigned: no place counts from the end of the array
        n += int(flags[x])
    return n
