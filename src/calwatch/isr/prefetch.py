"""Asking the processor for memory before it is needed.

The processor guesses well which memory comes next where that is one long run, but not beyond a page
of 4 kB, which is a row of two amplifiers. A pass over all amplifiers together jumps from one short
run to another besides. It would wait for each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from calwatch.arrays import AnyArray

_CACHE_LINE = 64
"""Bytes that come from memory together."""
_FOR_READING, _KEEP_IN_SECOND_LEVEL, _DATA = 0, 2, 1
"""Arguments of LLVM's ``prefetch``."""


@intrinsic
def _llvm_prefetch(_typing: Any, row: Any, _index: Any) -> Any:
    """Let a kernel use LLVM's ``prefetch`` on an element of a one-dimensional C array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        element = builder.gep(array.data, [arguments[1]])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        ask = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        how = [number(_FOR_READING), number(_KEEP_IN_SECOND_LEVEL), number(_DATA)]
        builder.call(ask, [builder.bitcast(element, byte), *how])
        return context.get_dummy_value()

    return types.void(row, types.intp), generate


_prefetch = cast("Callable[[AnyArray, int], None]", _llvm_prefetch)


@njit(cache=True, nogil=True)
def prefetch_row(row: AnyArray) -> None:
    """Ask for a row of an image. Nothing else happens, so the result of a kernel is the same."""
    for x in range(0, row.size, _CACHE_LINE // row.itemsize):
        _prefetch(row, x)
