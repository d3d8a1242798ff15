"""Vectors of numbers inside compiled kernels, each held in a register of the processor.

A compiler that turns a loop over arrays into vectors by itself must test on every entry that no two arrays overlap, and
it keeps running sums in memory. The attention kernels have many arrays and many sums in one short loop; written with
these functions they run several times faster. Sums are taken in the order in which they are written, so that the same
numbers give the same bits.

For compiled functions only::

    v = load(tile, row, column)            # tile[row, column : column + LANES] of a (rows, TILE) array
    v = fma(v, splat(tile, 2.0), w)        # v * 2 + w, lane by lane
    store(tile, row, column, v)
    store_row(array, row, v)               # array[row] of a (rows, LANES) array
    s = total(v)                           # the sum of the lanes
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, misc"

import operator
from collections.abc import Callable
from typing import Any, Final

from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model


def _register_bits() -> int:
    """Return the width of this processor's registers, or what most have."""
    try:
        return 512 if binding.get_host_cpu_features().get("avx512f", False) else 256
    except RuntimeError:  # LLVM cannot tell
        return 256


LANES: Final = _register_bits() // 32
"""Numbers in a vector: as many numbers of float32 as a register holds."""

TILE: Final = 128
"""Columns of the arrays that `load` and `store` take."""

_LOG2_E: Final = 1.4426950408889634
_LN2_PARTS: Final = {32: (0.693359375, -2.12194440054690583e-4), 64: (0.6931471803691238, 1.9082149292705877e-10)}
"""ln(2) as a number of few digits, whose small multiples are exact, and the rest (Cody and Waite)."""
_LOWEST: Final = {32: -87.0, 64: -708.0}
"""Below it, the exponential is no normal number and is taken to be that of this number."""
_MANTISSA_BITS: Final = {32: 23, 64: 52}
_EXPONENT_BIAS: Final = {32: 127, 64: 1023}
_TERMS: Final = {32: 7, 64: 13}
"""Up to which power exp(x), |x| <= ln(2) / 2, is summed: the rest is below half a unit in the last place."""


class Lanes(types.Type):
    """The type of a vector of ``LANES`` floating-point numbers."""

    def __init__(self, dtype):
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.VectorType(dmm.lookup(fe_type.dtype).get_value_type(), LANES))


def instruction(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of compiled code, which takes its arguments after the typing context, out of its description."""
    made: Callable[..., Any] = intrinsic(function)
    return made


def _constant(vector, value):
    return ir.Constant(vector, [value] * LANES)


def _call(builder, name, *arguments):
    """Call LLVM's intrinsic ``name`` on vectors of one type."""
    kind = arguments[0].type
    bits = 32 if isinstance(kind.element, ir.FloatType) else 64
    signature = ir.FunctionType(kind, [kind] * len(arguments))
    function = cgutils.get_or_insert_function(builder.module, signature, f"llvm.{name}.v{LANES}f{bits}")
    return builder.call(function, arguments)


def _spread(builder, scalar):
    """Repeat a scalar in every lane."""
    vector = ir.VectorType(scalar.type, LANES)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, first, mask)


def _address(context, builder, signature, arguments):
    """Where ``array[row, column]`` and the numbers behind it are, and the bytes of one number."""
    kind = signature.args[0]
    array = context.make_array(kind)(context, builder, arguments[0])
    row, column = (
        context.cast(builder, index, index_kind, types.intp)
        for index, index_kind in zip(arguments[1:3], signature.args[1:3], strict=True)
    )
    address = cgutils.get_item_pointer(context, builder, kind, array, (row, column), wraparound=False)
    vector = ir.VectorType(context.get_value_type(kind.dtype), LANES)
    return builder.bitcast(address, vector.as_pointer()), kind.dtype.bitwidth // 8


def _tile_address(context, builder, signature, arguments):
    """Where ``tile[row, column]`` is: by the constant ``TILE``, so that rows of a tile share one pointer."""
    kind = signature.args[0]
    array = context.make_array(kind)(context, builder, arguments[0])
    row, column = (
        context.cast(builder, index, index_kind, types.intp)
        for index, index_kind in zip(arguments[1:3], signature.args[1:3], strict=True)
    )
    place = builder.add(builder.mul(row, ir.Constant(row.type, TILE)), column)
    vector = ir.VectorType(context.get_value_type(kind.dtype), LANES)
    return builder.bitcast(builder.gep(array.data, [place]), vector.as_pointer()), kind.dtype.bitwidth // 8


@instruction
def load(typing_context, array, row, column):
    """Read ``array[row, column : column + LANES]`` of an array of the shape (rows, TILE)."""

    def code(context, builder, signature, arguments):
        address, size = _tile_address(context, builder, signature, arguments)
        return builder.load(address, align=size)

    return Lanes(array.dtype)(array, row, column), code


@instruction
def store(typing_context, array, row, column, lanes):
    """Write ``array[row, column : column + LANES]`` of an array of the shape (rows, TILE)."""

    def code(context, builder, signature, arguments):
        address, size = _tile_address(context, builder, signature, arguments)
        builder.store(arguments[3], address, align=size)
        return context.get_dummy_value()

    return types.none(array, row, column, lanes), code


def _row_address(context, builder, signature, arguments):
    """Where row ``row`` of a (rows, LANES) array is; quicker than by the strides, which compiled code must look up."""
    kind = signature.args[0]
    array = context.make_array(kind)(context, builder, arguments[0])
    row = context.cast(builder, arguments[1], signature.args[1], types.intp)
    vector = ir.VectorType(context.get_value_type(kind.dtype), LANES)
    return builder.gep(builder.bitcast(array.data, vector.as_pointer()), [row]), kind.dtype.bitwidth // 8


@instruction
def load_row(typing_context, array, row):
    """Read row ``row`` of an array of the shape (rows, LANES)."""

    def code(context, builder, signature, arguments):
        address, size = _row_address(context, builder, signature, arguments)
        return builder.load(address, align=size)

    return Lanes(array.dtype)(array, row), code


@instruction
def store_row(typing_context, array, row, lanes):
    """Write row ``row`` of an array of the shape (rows, LANES)."""

    def code(context, builder, signature, arguments):
        address, size = _row_address(context, builder, signature, arguments)
        builder.store(arguments[2], address, align=size)
        return context.get_dummy_value()

    return types.none(array, row, lanes), code


@instruction
def splat(typing_context, array, scalar):
    """Repeat ``scalar``, made a number of the type of ``array``, in every lane."""

    def code(context, builder, signature, arguments):
        return _spread(builder, context.cast(builder, arguments[1], signature.args[1], signature.args[0].dtype))

    return Lanes(array.dtype)(array, scalar), code


@instruction
def fma(typing_context, a, b, c):
    """Return a * b + c, rounded once where the processor can."""

    def code(context, builder, signature, arguments):
        return _call(builder, "fmuladd", *arguments)

    return a(a, b, c), code


@instruction
def positive_part(typing_context, a):
    """Return zero where a lane is below zero, else the lane."""

    def code(context, builder, signature, arguments):
        zero = _constant(arguments[0].type, 0.0)
        return builder.select(builder.fcmp_ordered("<", arguments[0], zero), zero, arguments[0])

    return a(a), code


@instruction
def where_positive(typing_context, a, b):
    """Take the lanes of ``b`` where ``a`` is above zero, else zero."""

    def code(context, builder, signature, arguments):
        zero = _constant(arguments[0].type, 0.0)
        return builder.select(builder.fcmp_ordered(">", arguments[0], zero), arguments[1], zero)

    return a(a, b), code


@instruction
def where_nonzero(typing_context, a, b, c):
    """Take the lanes of ``b`` where ``a`` is not zero, else those of ``c``."""

    def code(context, builder, signature, arguments):
        zero = _constant(arguments[0].type, 0.0)
        return builder.select(builder.fcmp_unordered("!=", arguments[0], zero), arguments[1], arguments[2])

    return a(a, b, c), code


@instruction
def larger(typing_context, a, b):
    """Return the larger of two lanes; the first, where either is not a number."""

    def code(context, builder, signature, arguments):
        first, second = arguments
        return builder.select(builder.fcmp_ordered("<", first, second), second, first)

    return a(a, b), code


@instruction
def total(typing_context, a):
    """Add the lanes up: the upper half to the lower half, and so on until one is left."""

    def code(context, builder, signature, arguments):
        value = arguments[0]
        width = LANES
        while width > 1:
            width //= 2
            halves = [
                ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(begin, begin + width)))
                for begin in (0, width)
            ]
            low, high = (builder.shuffle_vector(value, value, half) for half in halves)
            value = builder.fadd(low, high)
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return a.dtype(a), code


@instruction
def transpose_square(typing_context, source, row, column, target, target_row, target_column):
    """Copy ``LANES`` x ``LANES`` numbers of one array into another, rows becoming columns."""

    def code(context, builder, signature, arguments):
        def addresses(kind, array, first, second):
            one = ir.Constant(ir.IntType(64), 1)
            index = context.cast(builder, first[0], first[1], types.intp)
            found = []
            for _ in range(LANES):
                intp = types.intp(kind, types.intp, second[1])
                found.append(_address(context, builder, intp, (array, index, second[0])))
                index = builder.add(index, one)
            return found

        kinds, values = signature.args, arguments
        pairs = list(zip(values, kinds, strict=True))
        rows = [builder.load(at, align=size) for at, size in addresses(kinds[0], values[0], pairs[1], pairs[2])]
        step = 1
        while step < LANES:  # swap the off-diagonal blocks of side ``step`` in every square of twice that side
            upper = [k if k // step % 2 == 0 else LANES + k - step for k in range(LANES)]
            lower = [k + step if k // step % 2 == 0 else LANES + k for k in range(LANES)]
            upper, lower = (ir.Constant(ir.VectorType(ir.IntType(32), LANES), mask) for mask in (upper, lower))
            for k in range(LANES):
                if k // step % 2 == 0:
                    first, second = rows[k], rows[k + step]
                    rows[k] = builder.shuffle_vector(first, second, upper)
                    rows[k + step] = builder.shuffle_vector(first, second, lower)
            step *= 2
        for row, (at, size) in zip(rows, addresses(kinds[3], values[3], pairs[4], pairs[5]), strict=True):
            builder.store(row, at, align=size)
        return context.get_dummy_value()

    return types.none(source, row, column, target, target_row, target_column), code


@instruction
def exponential(typing_context, a):
    """Return e to the power of lanes that are not above zero, to about one unit in the last place.

    A power of two, set in the bits of the exponent, times a Taylor sum over [-ln(2) / 2, ln(2) / 2].
    """
    bits = a.dtype.bitwidth

    def code(context, builder, signature, arguments):
        value = arguments[0]
        kind = value.type
        whole = ir.VectorType(ir.IntType(bits), LANES)
        lowest = _constant(kind, _LOWEST[bits])
        value = builder.select(builder.fcmp_ordered("<", value, lowest), lowest, value)
        power = _call(builder, "rint", builder.fmul(value, _constant(kind, _LOG2_E)))
        for part in _LN2_PARTS[bits]:
            value = _call(builder, "fmuladd", power, _constant(kind, -part), value)
        factorials = [1.0]
        for n in range(1, _TERMS[bits] + 1):
            factorials.append(factorials[-1] * n)
        series = _constant(kind, 1.0 / factorials[-1])
        for factorial in reversed(factorials[:-1]):
            series = _call(builder, "fmuladd", series, value, _constant(kind, 1.0 / factorial))
        exponent = builder.add(builder.fptosi(power, whole), _constant(whole, _EXPONENT_BIAS[bits]))
        scale = builder.bitcast(builder.shl(exponent, _constant(whole, _MANTISSA_BITS[bits])), kind)
        return builder.fmul(series, scale)

    return a(a), code


def _binary(operation, name):
    """Let an operator between two vectors of one type be one instruction."""

    @instruction
    def both(typing_context, a, b):
        def code(context, builder, signature, arguments):
            return getattr(builder, name)(*arguments)

        return a(a, b), code

    @overload(operation)
    def implementation(a, b):
        if isinstance(a, Lanes) and a == b:
            return lambda a, b: both(a, b)
        return None


_binary(operator.add, "fadd")
_binary(operator.sub, "fsub")
_binary(operator.mul, "fmul")
_binary(operator.truediv, "fdiv")
