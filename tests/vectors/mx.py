"""Oracle values for the `mx::*` functions of the Rhai interpreter, computed with mlx.core 0.32.2.

Run:  python tests/vectors/mx.py      (writes mx.json beside this file; MLX 0.32.2)

Each line of mx.json is one case: {"call": Rhai source, "shape", "dtype", "values": flat, row-major}.
NaN and infinities are the strings "nan", "inf", "-inf". Several results give one case each, with
`[i]` after the call; complex results give two, `.real()` and `.imag()`. In the source NaN is
`0.0 / 0.0` and infinity `1.0 / 0.0`. An `E` holds the Rhai source of an expression beside its value,
so that the source and the value always come from the very same numbers.
"""

import json
import math
import os
from collections import Counter

import mlx.core as mx
import numpy as np

CASES, COUNTS, REFUSED = [], Counter(), []
NAN, INF = math.nan, math.inf
ALIASES = "asin acos atan asinh acosh atanh concat".split()
ON_CPU = ("linalg.", "random.multivariate_normal")
# Functions whose Python form takes several arrays one by one; Rhai takes a list.
SPREAD = {
    "einsum": lambda text, arrays: mx.einsum(text, *arrays),
    "broadcast_arrays": lambda arrays: mx.broadcast_arrays(*arrays),
    "meshgrid": lambda arrays, **kw: mx.meshgrid(*arrays, **kw),
}

FUNCTIONS = """
abs exp expm1 log log1p log2 log10 sqrt rsqrt square reciprocal negative positive sign sigmoid erf erfinv sin cos tan
sinh cosh tanh arcsin arccos arctan arcsinh arccosh arctanh asin acos atan asinh acosh atanh degrees radians floor ceil
trunc round nan_to_num isnan isinf isposinf isneginf isfinite logical_not bitwise_invert real imag conjugate astype view
contiguous to_fp8 from_fp8
add subtract multiply divide floor_divide remainder power maximum minimum logaddexp arctan2 divmod equal not_equal less
less_equal greater greater_equal array_equal isclose allclose logical_and logical_or logical_xor bitwise_and bitwise_or
bitwise_xor left_shift right_shift where clip
sum mean prod max min all any logsumexp median count_nonzero var std argmax argmin softmax cumsum cumprod cummax cummin
logcumsumexp diff
zeros ones full zeros_like ones_like full_like eye identity arange linspace tri hanning hamming blackman bartlett array
reshape flatten unflatten transpose permute_dims matrix_transpose swapaxes moveaxis expand_dims squeeze broadcast_to
broadcast_arrays concatenate concat stack split unstack tile repeat pad flip roll atleast_1d atleast_2d atleast_3d
meshgrid as_strided
sort argsort partition argpartition topk searchsorted take take_along_axis put_along_axis slice slice_update diag
diagonal tril triu trace
matmul addmm inner outer tensordot einsum kron vecdot hadamard_transform block_masked_mm gather_mm segmented_mm quantize
dequantize quantized_matmul conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_general convolve
""" + "".join(
    " ".join(f" {module}.{name}" for name in names.split())
    for module, names in {
        "linalg": "norm qr svd inv tri_inv cholesky cholesky_inv pinv eigh eigvalsh eig eigvals lu lu_factor solve "
                  "solve_triangular cross det slogdet",
        "fft": "fft ifft fft2 ifft2 fftn ifftn rfft irfft rfft2 irfft2 rfftn irfftn fftshift ifftshift fftfreq rfftfreq",
        "fast": "rms_norm layer_norm rope scaled_dot_product_attention cross_entropy",
        "random": "key split normal uniform bernoulli randint categorical gumbel laplace truncated_normal "
                  "multivariate_normal permutation",
    }.items()
)


class E:
    """A Rhai expression and its value."""

    def __init__(self, src, value):
        self.src, self.value = src, value

    def astype(self, dtype):
        return call(".astype", self, dtype)


def src(x):
    """The Rhai source of an argument."""
    if isinstance(x, E):
        return x.src
    if x is None:
        return "()"
    if isinstance(x, bool):
        return "true" if x else "false"
    if isinstance(x, int):
        return str(x)
    if isinstance(x, float):
        if math.isnan(x):
            return "0.0 / 0.0"
        if math.isinf(x):
            return "1.0 / 0.0" if x > 0 else "-1.0 / 0.0"
        text = f"{x:.10f}".rstrip("0")
        return text + "0" if text.endswith(".") else text
    if isinstance(x, str):
        return json.dumps(x)
    if isinstance(x, mx.Dtype):
        return json.dumps(name_of(x))
    if isinstance(x, dict):
        return "#{ " + ", ".join(f"{k}: {src(v)}" for k, v in x.items()) + " }"
    return "[" + ", ".join(src(v) for v in x) + "]"


def val(x):
    """The Python value of an argument."""
    if isinstance(x, E):
        return x.value
    return type(x)(val(v) for v in x) if isinstance(x, (list, tuple)) else x


def name_of(dtype):
    return str(dtype).rsplit(".", 1)[-1]


def T(data, dtype=None):
    """`tensor(..)` of numbers, booleans or nested lists."""
    more = "" if dtype is None else f", {src(dtype)}"
    return E(f"tensor({src(data)}{more})", mx.array(data, dtype=dtype))


def call(name, *args, **kw):
    """A call of mx.<name>; a leading dot in the name writes it as a method of the first argument."""
    method, name = name.startswith("."), name.lstrip(".")
    function = mx
    for part in name.split("."):
        function = getattr(function, part)
    python = {k: val(v) for k, v in kw.items()}
    if name.startswith(ON_CPU):
        python["stream"] = mx.cpu
    value = SPREAD.get(name, function)(*map(val, args), **python)
    texts = [src(a) for a in args] + ([src(kw)] if kw else [])
    path = "mx::" + name.replace(".", "::")
    text = f"{args[0].src}.{name}({', '.join(texts[1:])})" if method else f"{path}({', '.join(texts)})"
    return E(text, value)


def plain(v):
    if isinstance(v, (bool, int)):
        return v
    if math.isnan(v):
        return "nan"
    return ("inf" if v > 0 else "-inf") if math.isinf(v) else float(str(np.float32(v)))


def emit(name, e):
    """Adds the case or cases of a value."""
    if isinstance(e.value, (list, tuple)):
        for i, part in enumerate(e.value):
            emit(name, E(f"{e.src}[{i}]", part))
    elif e.value.dtype == mx.complex64:
        emit(name, E(e.src + ".real()", mx.real(e.value)))
        emit(name, E(e.src + ".imag()", mx.imag(e.value)))
    else:
        a = e.value
        wide = a.astype(mx.float32) if mx.issubdtype(a.dtype, mx.floating) else a
        values = [plain(v) for v in np.array(wide).reshape(-1).tolist()]
        case = {"call": e.src, "shape": list(a.shape), "dtype": name_of(a.dtype), "values": values}
        CASES.append(case)


def case(name, *args, wrap=None, **kw):
    """One case; `wrap` takes the expression of the call to the one that is recorded."""
    try:
        e = call(name, *args, **kw)
        mx.eval(e.value)
        emit(name, wrap(e) if wrap else e)
        COUNTS[name.lstrip(".")] += 1
    except Exception as error:
        text = ", ".join([src(a) for a in args] + ([src(kw)] if kw else []))
        REFUSED.append(f"{name}({text}): {type(error).__name__}: {str(error).splitlines()[0]}")


def at(i):
    return lambda e: E(f"{e.src}[{i}]", e.value[i])


def then(name, *more):
    return lambda e: call(name, e, *more)


def both(first, second):
    return lambda e: second(first(e))


def rows(shape, seed, lo=-2.0, hi=2.0):
    """Reproducible numbers of 2 decimals, as nested lists."""
    return np.round(np.random.RandomState(seed).uniform(lo, hi, shape), 2).tolist()


def F(shape, seed=0, lo=-2.0, hi=2.0, dtype=None):
    return T(rows(shape, seed, lo, hi), dtype)


def I(shape, seed=0, lo=-5, hi=6, dtype=None):
    return T(np.random.RandomState(seed).randint(lo, hi, shape).tolist(), dtype)


def empty(*shape):
    return call("zeros", list(shape))


def key(n):
    return call("random.key", n)


def cplx(shape, seed):
    """A complex tensor: pairs of floats, viewed."""
    return call("view", F([*shape[:-1], shape[-1] * 2], seed), mx.complex64)


SPECIAL = T([NAN, INF, -INF, 0.0, -1.5, 2.0])
BITS = T([[12, 10], [-7, 255]])
BOOLS = T([[True, False], [True, True]])
A, B, V = F([2, 3], 1), F([2, 3], 2), T([0.5, -1.0, 2.0])
CUBE = I([2, 3, 2], 3)


def elementwise():
    anywhere = ("abs exp expm1 square negative positive sign sigmoid erf sin cos tan sinh cosh tanh arctan arcsinh "
                "degrees radians floor ceil trunc round isnan isinf isposinf isneginf isfinite nan_to_num "
                "logical_not real imag conjugate contiguous")
    domain = {"log": (0.1, 5), "log1p": (-0.9, 4), "log2": (0.1, 9), "log10": (0.1, 200), "sqrt": (0, 9),
              "rsqrt": (0.1, 9), "reciprocal": (0.2, 4), "erfinv": (-0.99, 0.99), "arcsin": (-1, 1),
              "arccos": (-1, 1), "arctanh": (-0.95, 0.95), "arccosh": (1, 5)}
    whole = "sign abs square negative positive floor ceil trunc isnan logical_not real imag conjugate contiguous".split()
    for name in anywhere.split() + list(domain):
        lo, hi = domain.get(name, (-3, 3))
        case(name, F([2, 3], 4, lo, hi))
        case("." + name, T(round(lo + 0.7 * (hi - lo), 2)))
        case(name, SPECIAL)
        case(name, empty(2, 0))
        case(name, F([4], 5, lo, hi, mx.bfloat16))
        case("." + name, F([4], 6, lo, hi, mx.float16))
        case(name, T([1, 2, 7, -1 if name in whole + ["exp", "sin", "tanh"] else 3]))
        case(name, T([True, True] if name == "reciprocal" else [True, False]))
        case(name, T([0 if name in whole else 1, 1, 200], mx.uint8))
    for alias, name in [("asin", -0.5), ("acos", 0.25), ("atan", 3.0), ("asinh", -2.0), ("acosh", 2.5), ("atanh", 0.5)]:
        case(alias, T([name, 1.0 if alias != "atanh" else 0.0]))
    for name in ["abs", "negative", "exp", "square", "conjugate", "real", "imag", "sqrt", "isnan", "reciprocal"]:
        case(name, cplx([2, 2], 7))
    case("round", T([0.5, 1.5, 2.5, -0.5, -1.5]))
    case("round", T([1.2345, -2.7182]), 2)
    case(".round", T([123.0, 155.0]), decimals=-1)
    case("round", T([15, 25, 149]), -1)
    case("nan_to_num", SPECIAL, 7.0, 100.0, -100.0)
    case(".nan_to_num", SPECIAL, nan=-1.0, posinf=9.5)
    case("nan_to_num", T([NAN, INF, -INF, 1.0], mx.float16))
    for x in [BITS, BOOLS, T([0, 1, 200], mx.uint8), T(5)]:
        case(".bitwise_invert", x)
    for x, to in [(SPECIAL, "bool_"), (T([1.9, -1.9, 0.0]), "int32"), (T([1, 300, -1]), "uint8"), (BOOLS, "float16"),
                  (T([1.2345, -0.1]), "bfloat16"), (T([1, -2]), "complex64"), (T([40000, -40000]), "int16"),
                  (T([7, -7]), "int64"), (empty(0), "int8")]:
        case(".astype", x, DtypeName(to))
    for x, to in [(T([1.0, -2.5]), "int32"), (T([[1.0, -2.5]]), "uint8"), (T([[1, 256], [65536, -1]]), "uint16"),
                  (T([1.0, 2.0], mx.float16), "uint16"), (T([[1.0, 2.0, 3.0, 4.0]]), "complex64"),
                  (T([1, 0], mx.uint8), "bool_")]:
        case("view", x, DtypeName(to))
    for x in [T([0.0, 1.0, -2.0, 0.3, 448.0, 1000.0]), F([2, 3], 8, dtype=mx.bfloat16), T(0.0039), F([3], 9, dtype=mx.float16)]:
        case("to_fp8", x)
        case("from_fp8", call("to_fp8", x))
    case("from_fp8", T([[0, 56], [126, 190]], mx.uint8), mx.float32)
    case("from_fp8", T([1, 8, 130], mx.uint8), dtype=mx.float16)
    case("contiguous", call("transpose", A))


def DtypeName(name):
    """A dtype argument (`bool_` is the string "bool")."""
    return E(json.dumps(name.rstrip("_")), getattr(mx, name))


def pairwise():
    sums = "add subtract multiply maximum minimum"
    order = "equal not_equal less less_equal greater greater_equal"
    for name in (sums + " divide remainder power logaddexp arctan2 floor_divide " + order).split():
        tame = name in ("remainder", "power", "floor_divide", "divide")
        left = F([2, 3], 10, 0.1, 3) if name == "power" else A
        case(name, left, F([2, 3], 11, 0.5, 2) if tame else B)
        case("." + name, F([2, 1, 3], 12, 0.2, 2), F([2, 1], 13, 0.5, 2))
        case(name, I([2, 3], 14), I([3], 15, 1, 5))
        case("." + name, I([4], 16), 2)
        case(name, T([1, 2, 3]), 1.5)
        case(name, T([0.5, 2.0, -1.5], mx.bfloat16), T([1.0, 2.0, 3.0]))
        case(name, T([NAN, INF, -INF, 1.0]), T([1.0, 2.0, INF, NAN]))
        case(name, T([200, 100, 7], mx.uint8), T([100, 3, 2], mx.uint8))
        case(name, BOOLS, T([True, True]))
        case("." + name, empty(0, 3), V)
        case(name, T([0.5, 2.0], mx.float16), T([1, 2]))
    for name in ("remainder", "floor_divide", "divide"):
        case(name, T([7.5, -7.5, 7.5, -7.5]), T([2.0, 2.0, -2.0, -2.0]))
        case(name, T([7, -7, 7, -7]), T([2, 2, -2, -2]))
        case(name, T([1.0, -1.0, 0.0]), T([0.0, 0.0, 0.0]))
        case("divmod" if name == "divide" else name, T([7, -7]), 3)
    for a, b in [(T([7.5, -7.5]), T([2.0, 2.0])), (T([[7], [-8]]), T([3, -3])), (F([3], 17, 1, 9), 2), (T([9, 200], mx.uint8), T([4, 7], mx.uint8))]:
        case("divmod", a, b)
    case("power", T([2, 3, -2]), T([3, 0, 2]))
    case("power", T([-8.0, 4.0]), T([0.5, -0.5]))
    case("arctan2", T([0.0, -0.0, 1.0]), T([-1.0, -1.0, 0.0]))
    case("logaddexp", T([-INF, 1000.0]), T([-INF, 1000.0]))
    for x, y, kw in [(A, A, {}), (A, B, {}), (T([1.0, NAN]), T([1.0, NAN]), {}), (T([1.0, NAN]), T([1.0, NAN]), {"equal_nan": True}),
                     (T([1, 2]), T([1.0, 2.0]), {}), (T([1, 2]), T([[1, 2]]), {})]:
        case("array_equal", x, y, **kw)
    for name in ("isclose", "allclose"):
        near = T([1.0, 2.001, INF, NAN]), T([1.0, 2.0, INF, NAN])
        case(name, *near)
        case(name, *near, equal_nan=True)
        case("." + name, *near, 0.01, 0.0, equal_nan=True)
        case(name, T([[1.0], [2.0]]), T([1.0, 1.05]), atol=0.1)
        case(name, T([1, 2]), T([1, 2]))
    for name in ("logical_and", "logical_or"):
        case(name, BOOLS, T([False, True]))
        case("." + name, T([0.0, 0.5, NAN]), T([1.0, 2.0, 1.0]))
        case(name, T([[0], [3]]), T([0, 1, 2]))
        case(name, empty(0), empty(0))
    case("logical_xor", BOOLS, T([False, True]))
    case(".logical_xor", T([[0], [3]]), T([0, 1, 2]))
    case("logical_xor", T([0.0, 0.5]), T([2.0, 2.0]))
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift"):
        shift = name.endswith("shift")
        case(name, BITS, T([1, 3]))
        case("." + name, BITS, 2)
        case(name, T([200, 15], mx.uint8), T([3, 6], mx.uint8))
        case(name, T([[1], [64]], mx.int64), T([1, 2, 3]))
        if not shift:
            case(name, BOOLS, T([False, True]))
    for args in [(BOOLS, T([[1.0, 2.0], [3.0, 4.0]]), 0.0), (T([True, False]), T([[1], [2]]), T([10, 20])), (T(True), 1.5, 2),
                 (T([1, 0, 2]), V, T([1.0, 1.0, 1.0], mx.bfloat16)), (T([False, True]), -INF, T([1.0, 2.0]))]:
        case("where", *args)
    case("clip", A, -0.5, 0.5)
    case(".clip", A, None, 0.5)
    case("clip", I([2, 3], 18), -1, None)
    case("clip", A, a_min=T([-1.0, 0.0, 0.5]), a_max=1.0)
    case("clip", T([1, 5, 9]), 1.5, 6.5)
    case("clip", SPECIAL, -1.0, 1.0)


def reductions():
    for name in "sum mean prod max min all any logsumexp median count_nonzero var std".split():
        for x in (A, I([2, 3], 19), BOOLS, F([4], 20, dtype=mx.bfloat16)):
            case(name, x)
        case("." + name, CUBE, axis=-1)
        case(name, F([2, 3, 2], 21), **{"axis": [0, 2], "keepdims": True})
        case("." + name, F([3, 2], 22, dtype=mx.float16), axis=0, keepdims=True)
        case(name, T([[NAN, 1.0], [2.0, -INF]]), axis=1)
        case(name, T([200, 100, 50], mx.uint8))
        case(name, T(3.5))
        if name != "median":
            case(name, empty(2, 0), axis=0)
        if name in ("sum", "prod", "all", "any", "mean", "logsumexp", "count_nonzero"):
            case(name, empty(2, 0), axis=1)
        if name != "count_nonzero":
            case("." + name, A, -2, True)
    case("var", A, ddof=1)
    case("std", A, axis=-1, keepdims=True, ddof=1)
    for name in ("argmax", "argmin"):
        case(name, A)
        case("." + name, CUBE, -1)
        case(name, I([3, 4], 23), axis=0, keepdims=True)
        case(name, T([2.0, 1.0, 2.0, 1.0], mx.bfloat16))
        case(name, T([NAN, 1.0, 2.0]))
        case(name, A, keepdims=True)
    for args, kw in [((A, -1), {}), ((A,), {}), ((F([2, 3, 2], 24), [0, 2]), {}), ((T([1, 2, 3]), 0), {}), ((T([-INF, 0.0, 1.0]), -1), {}),
                     ((F([2, 3], 25, dtype=mx.float16), 0), {"precise": True}), ((F([4], 26, dtype=mx.bfloat16), -1), {}), ((T([1000.0, 999.0]), 0), {})]:
        case(".softmax", *args, **kw)
    for name in "cumsum cumprod cummax cummin logcumsumexp".split():
        case(name, A)
        case("." + name, A, -1)
        case(name, A, axis=0)
        case(name, I([2, 3], 27, 1, 5), axis=1, reverse=True)
        case(name, A, axis=1, inclusive=False)
        case(name, F([2, 3], 28), axis=0, reverse=True, inclusive=False)
        case(name, F([4], 29, dtype=mx.float16), axis=0)
        case(name, BOOLS, axis=1)
        case(name, T([1.0, NAN, 2.0, INF]), axis=0)
    for name in ("cumsum", "cumprod"):
        case(name, T([100, 100, 3], mx.uint8), axis=0, dtype=mx.int32)
    for args, kw in [((A,), {}), ((A,), {"axis": 0}), ((T([1, 4, 9, 16]), 2), {}), ((CUBE, 1, 1), {}), ((T([5, 3], mx.uint8),), {}),
                     ((BOOLS,), {}), ((A, 0), {}), ((T([1.0, INF, INF]),), {})]:
        case(".diff", *args, **kw)


def creation():
    for name in ("zeros", "ones"):
        for args in ([3], [[2, 3]], [[]], [[2, 0]], [[2], mx.int32], [[2], mx.bfloat16], [[1, 2], DtypeName("bool_")]):
            case(name, *args)
        for x in (A, BOOLS, T(3), empty(0)):
            case(f".{name}_like", x)
        case(f"{name}_like", A, dtype=mx.int32)
    for args, kw in [(([2, 2], 7), {}), (([3], 0.5), {}), ((2, True), {}), (([2, 3], V), {}), (([2], 3), {"dtype": mx.float16}), (([0], 1.0), {})]:
        case("full", *args, **kw)
    for args, kw in [((A, 2), {}), ((T([1, 2]), 7), {}), ((T([1, 2]), 2.5), {"dtype": mx.float32}), ((BOOLS, T([True, False])), {})]:
        case("full_like", *args, **kw)
    for args, kw in [((3,), {}), ((2, 3), {}), ((3, 3, -1), {}), ((3,), {"k": 1, "dtype": mx.int32}), ((0,), {}), ((2, 4), {"k": 2})]:
        case("eye", *args, **kw)
    for args in [(1,), (3,), (2, mx.int32), (2, mx.bfloat16)]:
        case("identity", *args)
    for args, kw in [((5,), {}), ((2, 6), {}), ((1, 8, 3), {}), ((5, 0, -2), {}), ((0.5, 3.0, 0.5), {}), ((2.5,), {}), ((3, 1), {}),
                     ((4,), {"dtype": mx.float32}), ((0, 4, 1), {"dtype": mx.uint8}), ((1.0, 0.0, -0.25), {}), ((0,), {})]:
        case("arange", *args, **kw)
    for args, kw in [((0, 1, 5), {}), ((1.0, -1.0, 4), {}), ((0, 10, 5), {"endpoint": False}), ((0, 9, 4), {"dtype": mx.int32}), ((2, 3, 1), {}),
                     ((0, 1, 0), {}), ((0, 1, 3), {"dtype": mx.float16})]:
        case("linspace", *args, **kw)
    for args, kw in [((3, 3, 0), {}), ((2, 4, 1), {}), ((3, 2, -1), {"dtype": mx.int32}), ((2, 2, 0, DtypeName("bool_")), {}), ((3,), {"m": 3, "k": 0}), ((3,), {})]:
        case("tri", *args, **kw)
    for name in ("hanning", "hamming", "blackman", "bartlett"):
        for n in (0, 1, 2, 5, 8):
            case(name, n)
    for args in [([1, 2],), ([[1.5, 2.0]],), ([True, False],), ([1, 2], mx.float32), ([1.7, -1.7], mx.int32), ([0, 1], DtypeName("bool_")), (3.5,), (7, mx.uint8),
                 ([200, 7], mx.uint8), ([0.1], mx.bfloat16), ([],)]:
        case("array", *args)


def shapes():
    def each(name, *argses):
        """Cases of a function: tuples of arguments, the last one a dict of keywords where there are some."""
        for args in argses:
            kw = args[-1] if isinstance(args[-1], dict) else {}
            case(name, *(args[:-1] if kw else args), **kw)

    each(".reshape", (A, [3, 2]), (CUBE, [-1]), (CUBE, [3, -1]), (T(5), [1, 1]), (T([4]), []), (empty(0), [0, 2]))
    each(".flatten", (CUBE,), (CUBE, 1), (CUBE, 0, 1), (CUBE, {"start_axis": -2, "end_axis": -1}), (T(3),), (BOOLS,))
    each(".unflatten", (T([1, 2, 3, 4, 5, 6]), 0, [2, 3]), (A, -1, [3, 1]), (I([2, 4], 1), 1, [2, -1]), (I([4, 2], 2), {"axis": 0, "shape": [-1, 2]}))
    for name in ("transpose", "permute_dims"):
        each("." + name, (A,), (CUBE,), (CUBE, [1, 0, 2]), (CUBE, [-1, 0, 1]), (T(3),), (BOOLS, {"axes": [1, 0]}))
    each(".matrix_transpose", (A,), (CUBE,), (BOOLS,))
    each(".swapaxes", (A, 0, 1), (CUBE, 0, -1), (CUBE, 1, 2))
    each(".moveaxis", (A, 0, 1), (CUBE, 0, -1), (CUBE, -1, 0))
    each(".expand_dims", (A, 0), (A, -1), (V, [0, 2]), (T(3), 0), (V, {"axis": [0, -1]}))
    each(".squeeze", (T([[[1], [2]]]),), (T([[[1], [2]]]), 0), (T([[[1], [2]]]), -1), (T([[[1.5]]]), [0, 2]), (T([[1]]),))
    each(".broadcast_to", (V, [2, 3]), (T(2.5), [2, 2]), (T([[1], [2]]), [2, 3]), (T([[True]]), [3, 1]), (V, [0, 3]))
    each("broadcast_arrays", ([V, T([[1], [2]])],), ([T(1.5), T([1, 2])],), ([T([True]), A, T([1])],))
    each("concatenate", ([A, B],), ([A, B], -1), ([T([1, 2]), T([0.5])],), ([A, B], {"axis": 1}), ([A, B], None), ([empty(0), V],), ([BOOLS, BOOLS], 0))
    each("concat", ([T([1]), T([2])],), ([A, B], -1))
    each("stack", ([A, B],), ([V, V], -1), ([T(1), T(2.5)],), ([A, B], {"axis": 1}), ([T([1]), T([True])],))
    each(".split", (T([1, 2, 3, 4]), 2), (A, 3, -1), (T([1, 2, 3, 4, 5]), [1, 3]), (CUBE, [1], {"axis": 1}), (V, [0, 3]))
    each(".unstack", (A,), (A, {"axis": -1}), (CUBE, {"axis": 1}))
    each(".tile", (V, 2), (A, [2, 1]), (T([1, 2]), [2, 2]), (A, [1, 1, 2]), (T(3), 2), (BOOLS, [1, 0]))
    each(".repeat", (A, 2), (A, 2, 0), (T([[1, 2]]), 3, {"axis": -1}), (T(True), 2), (V, 0))
    each(".pad", (V, 1), (A, [[1, 0], [0, 2]]), (A, [1, 2]), (V, 1, {"constant_values": 9.5}), (T([1, 2, 3]), [[2, 1]], "edge"), (T([1, 2, 3]), 2, {"mode": "reflect"}),
         (T([1, 2, 3]), [[2, 2]], {"mode": "symmetric"}), (I([2, 3], 4), 1, "reflect"), (BOOLS, [[0, 1], [0, 0]]), (empty(0), 1))
    each(".flip", (A,), (A, 0), (A, -1), (CUBE, [0, 2]), (T(3),), (BOOLS, {"axis": 1}), (empty(0),))
    each(".roll", (V, 1), (A, 1), (A, 1, 0), (A, -1, -1), (CUBE, [1, 1], [0, 1]), (T([1, 2, 3]), 7), (CUBE, 1, [0, 2]))
    for n in (1, 2, 3):
        each(f".atleast_{n}d", (T(2.5),), (T([1, 2]),), (A,), (CUBE,), (T([[[[True]]]]),), (empty(0),))
    each("meshgrid", ([T([1, 2, 3]), T([4, 5])],), ([T([1, 2]), T([0.5, 1.5])], {"indexing": "ij"}), ([T([1, 2]), T([3, 4, 5])], {"sparse": True}), ([V],))
    line = T([1, 2, 3, 4, 5, 6])
    each("as_strided", (line, [3, 2], [1, 2]), (line, [2, 2], [2, 1], 1), (line, {"shape": [4, 3], "strides": [1, 1]}), (A, [3], [1], {"offset": 2}), (V, [2, 3], [0, 1]))


def gathering():
    grid = I([3, 4], 30, -9, 9)
    for name in ("sort", "argsort"):
        ways = [(A,), (grid, 0), (grid, -1), (grid, None), (T([2.0, NAN, -1.0]),), (T([3, 1, 2], mx.uint8),), (T([2.5, -INF, INF], mx.bfloat16),)]
        for args in ways + [(T([True, False]),), (T([2, 1, 2, 1]),), (T([0.5, 0.25], mx.float16), 0)]:
            case("." + name, *args)
    row = T([5, 1, 4, 2, 3])
    case("partition", row, 2, wrap=at(2))
    case(".partition", F([6], 31), 4, wrap=at(4))
    case("partition", grid, 1, axis=0, wrap=at(1))
    case("partition", grid, 1, -1, wrap=then("take", 1, -1))
    case("partition", grid, 5, None, wrap=at(5))
    for args in [(row, 2), (grid, 1), (grid, 1, 0), (grid, 3, None)]:
        case("argpartition", *args, wrap=then("zeros_like"))
    case("topk", row, 2, wrap=then("sort"))
    case(".topk", grid, 3, wrap=then("sort", -1))
    case("topk", grid, 2, axis=0, wrap=then("sort", 0))
    case("topk", grid, 4, None, wrap=then("sort"))
    case("topk", F([5], 32, dtype=mx.bfloat16), 1)
    steps = T([1.0, 2.0, 2.0, 3.5])
    for args, kw in [((steps, T([2.0, 0.0, 9.0])), {}), ((steps, T([[2.0, 3.5]])), {"side": "right"}), ((T([1, 3, 5]), T([3, 4])), {}), ((steps, T(2.0)), {"side": "right"}),
                     ((T([1, 3, 5]), T([1, 5]), "right"), {})]:
        case("searchsorted", *args, **kw)
    for args, kw in [((A, T([0, 4])), {}), ((A, T([2, 0]), 1), {}), ((A, 1, 0), {}), ((CUBE, T([[0, 1], [1, 0]]), -1), {}), ((A, T([-1, 0])), {"axis": -1}), ((V, 2), {}),
                     ((V, T([1], mx.uint8)), {}), ((A, T(1), 1), {}), ((BOOLS, T([1, 1, 0]), 0), {})]:
        case(".take", *args, **kw)
    for args, kw in [((A, T([[2, 0], [1, 1]]), -1), {}), ((A, T([[1, 0, 1]]), 0), {}), ((A, T([5, 0, -1]), None), {}), ((V, T([2, 0])), {"axis": 0}), ((grid, T([[-1], [0], [1]])), {"axis": 1})]:
        case(".take_along_axis", *args, **kw)
    for args, kw in [((A, T([[2], [0]]), T([[9.0], [8.0]]), -1), {}), ((A, T([[1, 0, 1]]), T([[1.0, 2.0, 3.0]]), 0), {}), ((A, T([5, 0]), T([7.0, 6.0]), None), {}),
                     ((grid, T([[1, 3]]), T(0)), {"axis": -1}), ((T([1, 2, 3]), T([0, -1]), T([9.5, 8.5]), 0), {})]:
        case("put_along_axis", *args, **kw)
    for args in [(grid, T([1]), [0], [2, 4]), (grid, T([1, 2]), [0, 1], [2, 2]), (A, T([1]), [-1], [2, 2]), (V, T([1]), [0], [2]), (grid, T(1), [1], [3, 2])]:
        case("slice", *args)
    for args in [(grid, T([[1, 2, 3, 4]]), T([1]), [0]), (grid, T([[7, 8]]), T([2, 1]), [0, 1]), (A, T([[9.0], [8.0]]), T([2]), [-1]), (V, T([1]), T([1]), [0])]:
        case("slice_update", *args)
    for args, kw in [((V,), {}), ((grid,), {}), ((V, 1), {}), ((grid, -1), {}), ((T([1, 2]),), {"k": -1}), ((T([True]),), {})]:
        case("diag", *args, **kw)
    for name in ("diagonal", "trace"):
        for args, kw in [((grid,), {}), ((grid, 1), {}), ((CUBE, 0, 0, -1), {}), ((grid,), {"offset": -1}), ((CUBE,), {"axis1": 1, "axis2": 2}), ((A,), {}), ((BOOLS,), {})]:
            case("." + name, *args, **kw)
    case("trace", grid, dtype=mx.float32)
    for name in ("tril", "triu"):
        for args, kw in [((A, 0), {}), ((grid, 1), {}), ((CUBE, -1), {}), ((BOOLS,), {}), ((A,), {"k": -1})]:
            case("." + name, *args, **kw)


def products():
    P, Q, R = F([2, 3], 40), F([3, 2], 41), F([2, 3, 2], 42)
    half = F([2, 3], 43, dtype=mx.bfloat16)
    for args in [(P, Q), (P, V), (V, Q), (V, V), (R, F([2, 2], 44)), (F([1, 2, 3], 45), R), (half, F([3, 2], 46, dtype=mx.bfloat16)), (empty(2, 0), empty(0, 3)), (I([2, 3], 1), Q),
                 (F([2, 2], 47, dtype=mx.float16), F([2, 2], 48, dtype=mx.float16)), (I([2, 2], 1), I([2, 2], 2))]:
        case(".matmul", *args)
    for args, kw in [((F([2, 2], 49), P, Q), {}), ((T([1.0, -1.0]), P, Q), {"alpha": 0.5, "beta": 2.0}), ((T(1.0), P, Q, 2.0, 0.0), {}), ((F([2], 50), R, F([2, 2], 51)), {"beta": -1.0}), ((T([1.0, 2.0]), P, V), {})]:
        case("addmm", *args, **kw)
    for args in [(V, V), (P, V), (P, F([2, 3], 52)), (T(2.0), P), (T([1, 2]), T([3, 4]))]:
        case("inner", *args)
    for args in [(V, V), (T([1, 2]), T([0.5, 1.5])), (P, T([1.0, 2.0])), (T(3.0), V), (T([1, 2]), T([3, 4, 5]))]:
        case("outer", *args)
    for args in [(P, F([2, 3], 53)), (P, Q, 1), (P, Q, [[0], [1]]), (R, F([3, 2], 54), [[1, 2], [0, 1]]), (V, T([1.0, 2.0]), 0), (R, F([2, 2], 55), [[-1], [0]])]:
        case("tensordot", *args)
    for text, arrays in [("ij,jk->ik", [P, Q]), ("ij->ji", [P]), ("ii", [F([2, 2], 56)]), ("bij,bjk->bik", [F([2, 1, 3], 57), R]), ("i,j->ij", [V, T([1.0, 2.0])]), ("ij->", [P]), ("i,ij,j->", [T([1.0, 2.0]), P, V]),
                         ("...j,j->...", [F([2, 2, 3], 58), V]), ("ii->i", [I([3, 3], 59)]), ("ij,kj", [P, P])]:
        case("einsum", text, arrays)
    for args in [(T([1, 2]), T([1, 0, 2])), (P, T([[1.0, -1.0]])), (F([2, 2], 60), F([2, 2], 61)), (V, P), (T(2.0), P)]:
        case("kron", *args)
    for args, kw in [((P, F([2, 3], 62)), {}), ((P, F([2, 3], 62)), {"axis": 0}), ((V, V), {}), ((R, T([2.0, 1.0])), {}), ((T([1, 2]), T([3, 4])), {"axis": -1}), ((cplx([2], 1), cplx([2], 2)), {})]:
        case("vecdot", *args, **kw)
    for args, kw in [((T([1.0, 2.0, 3.0, 4.0]),), {}), ((F([2, 4], 63), 1.0), {}), ((F([12], 64),), {}), ((F([8], 65, dtype=mx.float16),), {"scale": 0.5}), ((T([3.0]),), {}), ((T([1, 2]),), {})]:
        case("hadamard_transform", *args, **kw)
    for args, kw in [((P, Q, 32, T([[True]])), {}), ((P, Q, 32, T([[False]])), {}), ((P, Q), {"mask_lhs": T([[0.5]]), "mask_rhs": T([[2.0]])}), ((R, F([2, 2], 66), 64), {"mask_out": T([[[True]], [[False]]])}),
                     ((F([2, 3], 40), Q, 32, None, T([[True]]), T([[True]])), {})]:
        case("block_masked_mm", *args, **kw)
    stack = F([3, 2, 3], 67)
    for args, kw in [((stack, R, T([0, 2], mx.uint32), T([1, 0], mx.uint32)), {}), ((stack, R), {"lhs_indices": T([2, 1], mx.uint32), "rhs_indices": T([0, 1], mx.uint32)}),
                     ((F([2, 3, 2], 68), F([2, 2, 2], 69), T([[0], [1]], mx.uint32), T([0, 1], mx.uint32)), {}), ((F([1, 2, 3], 70), R, None, T([0, 0, 1], mx.uint32)), {"sorted_indices": True}),
                     ((F([1, 2, 3], 70), R, T([0, 0, 0], mx.uint32), T([0, 0, 1], mx.uint32)), {"sorted_indices": True})]:
        case("gather_mm", *args, **kw)
    for segments in ([[0, 1], [1, 3]], [[0, 3]], [[0, 2], [2, 2], [1, 3]]):
        case("segmented_mm", P, Q, T(segments, mx.uint32))
    case("segmented_mm", F([1, 4], 71), F([4, 2], 72), T([[[0, 2]], [[2, 4]]], mx.uint32))
    quantized()
    convolutions()


def quantized():
    def weights(seed, width=32, dtype=mx.float32):
        return call("multiply", call("sin", call("reshape", call("arange", 2 * width, dtype=mx.float32), [2, width])), 0.5 + seed).astype(dtype)

    x32, x64 = F([1, 32], 73, dtype=None), call("reshape", call("cos", call("arange", 64, dtype=mx.float32)), [1, 64])
    W32, W64 = weights(0), weights(1, 64)
    ways = [(W32, {"group_size": 32, "bits": 4}), (W32, {"group_size": 32, "bits": 8}), (W64, {}), (W64, {"group_size": 64, "bits": 2}), (W32, {"group_size": 32, "bits": 3}),
            (W32, {"group_size": 32, "bits": 5}), (W32, {"group_size": 32, "bits": 6}), (W32.astype(mx.bfloat16), {"group_size": 32, "bits": 4})]
    modes = [(W32, {"mode": "mxfp4"}), (W32, {"mode": "mxfp8"}), (W32, {"mode": "nvfp4"})]
    for w, kw in ways + modes:
        q = call("quantize", w, **kw)
        parts = [at(i)(q) for i in range(len(q.value))]
        x = x64 if w is W64 else x32
        case("quantize", w, **kw)
        case("dequantize", *parts, **kw, wrap=lambda e: call("slice", e, T([0]), [1], [2, 12]))
        case("quantized_matmul", x.astype(mx.bfloat16) if w.value.dtype == mx.bfloat16 else x, *parts, **kw)
    q = call("quantize", W32, group_size=32, bits=4)
    case("quantized_matmul", F([3, 2], 74), *[at(i)(q) for i in range(3)], transpose=False, group_size=32, bits=4, wrap=lambda e: call("slice", e, T([0]), [1], [3, 8]))
    case("dequantize", *[at(i)(q) for i in range(3)], 32, 4, wrap=lambda e: call("slice", e, T([20]), [1], [2, 12]))


def convolutions():
    x1, w1 = F([1, 6, 2], 80), F([2, 3, 2], 81)
    for args, kw in [((x1, w1), {}), ((x1, w1, 2, 1), {}), ((x1, w1), {"padding": 2, "dilation": 2}), ((x1, F([2, 3, 1], 82)), {"groups": 2}), ((F([2, 3, 1], 83, dtype=mx.float16), F([1, 2, 1], 84, dtype=mx.float16)), {}),
                     ((F([1, 4, 1], 85, dtype=mx.bfloat16), F([1, 2, 1], 86, dtype=mx.bfloat16)), {"stride": 2})]:
        case("conv1d", *args, **kw)
    x2, w2 = F([1, 4, 4, 1], 87), F([1, 2, 2, 1], 88)
    for args, kw in [((x2, w2), {}), ((x2, w2, 2), {}), ((x2, w2), {"stride": [1, 2], "padding": [1, 0]}), ((x2, w2), {"dilation": 2}), ((F([1, 3, 3, 2], 89), F([2, 2, 2, 1], 90)), {"groups": 2}), ((x2, w2, 1, 1), {})]:
        case("conv2d", *args, **kw)
    x3, w3 = F([1, 2, 3, 3, 1], 91), F([1, 2, 2, 2, 1], 92)
    for args, kw in [((x3, w3), {}), ((x3, w3, 2, 1), {}), ((x3, w3), {"padding": [1, 0, 0], "stride": [1, 2, 1]}), ((x3, w3, 1, [0, 1, 0]), {})]:
        case("conv3d", *args, **kw)
    t1 = F([1, 3, 2], 93)
    for args, kw in [((t1, w1), {}), ((t1, w1, 2), {}), ((t1, w1), {"stride": 2, "padding": 1, "output_padding": 1}), ((t1, w1), {"dilation": 2}), ((t1, F([2, 2, 1], 94)), {"groups": 2})]:
        case("conv_transpose1d", *args, **kw)
    t2 = F([1, 2, 2, 1], 95)
    for args, kw in [((t2, w2), {}), ((t2, w2, 2), {}), ((t2, w2), {"stride": [2, 1], "padding": [1, 0], "output_padding": [1, 0]}), ((t2, w2), {"dilation": 2, "padding": 1})]:
        case("conv_transpose2d", *args, **kw)
    for args, kw in [((x1, w1), {}), ((x1, w1), {"flip": True, "padding": 1}), ((x2, w2), {"input_dilation": 2, "stride": 2}), ((x2, w2, [2, 1], [0, 1]), {"kernel_dilation": [1, 2]}),
                     ((x1, F([2, 3, 1], 96)), {"groups": 2}), ((x1, w1), {"padding": ([2], [0])}), ((x3, w3), {"stride": 2, "padding": 1, "flip": True})]:
        case("conv_general", *args, **kw)
    for args, kw in [((V, T([1.0, 2.0])), {}), ((V, T([1.0, 2.0]), "same"), {}), ((T([1.0, 2.0]), F([5], 97)), {"mode": "valid"}), ((F([5], 98), V), {"mode": "same"}), ((T([1.0, 2.0], mx.float16), T([3.0], mx.float16)), {})]:
        case("convolve", *args, **kw)


def linear_algebra():
    M = T([[4.0, 1.0, 0.5], [1.0, 3.0, -1.0], [0.5, -1.0, 5.0]])
    G = T([[0.0, 2.0, 1.0], [1.0, -1.0, 3.0], [2.0, 0.5, 1.0]])
    N, ONE = T([[1.0, 2.0], [3.0, 4.0]]), T([[2.5]])
    pile = T([[[2.0, 1.0], [1.0, 3.0]], [[5.0, -2.0], [-2.0, 4.0]]])
    low = T([[2.0, 0.0, 0.0], [1.0, 3.0, 0.0], [-1.0, 0.5, 4.0]])
    tall, wide = F([3, 2], 100), F([2, 3], 101)
    for args, kw in [((A,), {}), ((V, 1), {}), ((V, INF), {}), ((V, -INF), {}), ((V, 0), {}), ((V, 3), {}), ((A, "fro"), {}), ((A, "nuc"), {}), ((A, 1), {}), ((A, 2), {}), ((A, -2), {}), ((A, INF), {}), ((A,), {"axis": -1}),
                     ((A, 1), {"axis": 0, "keepdims": True}), ((CUBE,), {"axis": [0, 2]}), ((CUBE, "fro"), {"axis": [1, 2], "keepdims": True}), ((T([3, 4]),), {}), ((A, -1, [0, 1]), {}), ((V, 0.5), {}),
                     ((F([3], 1, dtype=mx.float16),), {}), ((empty(0),), {}), ((cplx([2], 3),), {})]:
        case("linalg.norm", *args, **kw)
    for x in (N, M, tall, wide, pile, ONE):
        case("linalg.qr", x)
        if x.value.ndim == 2:
            case("linalg.qr", x, wrap=both(at(1), both(then("diag"), then("abs"))))
        case("linalg.svd", x, wrap=at(1))
        case("linalg.svd", x, False)
        case("linalg.pinv", x)
    case("linalg.svd", N)
    case("linalg.svd", N, compute_uv=False)
    for x in (N, G, pile, ONE):
        for name in ("inv", "det", "slogdet", "lu", "lu_factor", "eigvals", "eig"):
            e = then("sort") if name == "eigvals" else None
            if name in ("eigvals", "eig") and x is G:
                case("linalg." + name, T([[0.0, -1.0], [1.0, 0.0]]))
                continue
            case("linalg." + name, x, wrap=both(then("real"), then("sort")) if e else None)
    case("linalg.eig", pile, wrap=at(0))
    case("linalg.det", T([[1.0, 2.0], [2.0, 4.0]]))
    case("linalg.slogdet", T([[1.0, 2.0], [2.0, 4.0]]))
    case("linalg.det", T([[1, 2], [3, 4]]))
    case("linalg.lu", tall)
    case("linalg.lu", wide)
    for x in (M, pile, ONE):
        for name in ("cholesky", "cholesky_inv", "eigvalsh", "eigh"):
            seed = call("linalg.cholesky", x) if name == "cholesky_inv" else x
            case("linalg." + name, seed)
    case("linalg.cholesky", M, True)
    case("linalg.cholesky", M, upper=True)
    case("linalg.cholesky_inv", call("linalg.cholesky", M, True), upper=True)
    case("linalg.eigvalsh", N, "U")
    case("linalg.eigvalsh", N, UPLO="L")
    case("linalg.eigh", N, UPLO="U")
    case("linalg.tri_inv", low)
    case("linalg.tri_inv", call("transpose", low), True)
    case("linalg.tri_inv", call("matrix_transpose", low), upper=True)
    case("linalg.tri_inv", ONE)
    for args in [(N, T([1.0, 2.0])), (M, F([3, 2], 102)), (pile, F([2, 2, 1], 103)), (G, V), (ONE, T([5.0]))]:
        case("linalg.solve", *args)
    case("linalg.solve_triangular", low, V)
    case("linalg.solve_triangular", low, F([3, 2], 104))
    case("linalg.solve_triangular", call("transpose", low), V, upper=True)
    case("linalg.solve_triangular", call("linalg.cholesky", pile), F([2, 2, 1], 105))
    for args, kw in [((V, T([1.0, 0.0, 2.0])), {}), ((A, B), {}), ((F([3, 2], 106), F([3, 2], 107)), {"axis": 0}), ((T([1.0, 2.0]), T([3.0, 4.0])), {}), ((A, V, -1), {}), ((T([1, 0, 0]), T([0, 1, 0])), {}), ((T([1.0, 2.0]), V), {})]:
        case("linalg.cross", *args, **kw)


def fourier():
    x, y, z = F([6], 110), F([2, 3], 111), F([2, 2, 3], 112)
    c1, c2, c3 = cplx([4], 113), cplx([2, 3], 114), cplx([2, 2, 2], 115)
    for name in ("fft", "ifft", "rfft", "irfft"):
        real, half = name == "rfft", name == "irfft"
        one, two = (x, y) if real else (c1, c2)
        for args, kw in [((one,), {}), ((one, 3), {}), ((one, 8), {}), ((two,), {"axis": 0}), ((two, 4, -1, "ortho"), {}), ((two,), {"norm": "forward"}), ((T([1.0, 2.0, 3.0, 4.0]),), {}), ((T([1, 2, 3, 4]), 4), {}),
                         ((T([1.0, 2.0, 3.0], mx.float16),), {})]:
            case("fft." + name, *args, **kw)
    for name in ("fft", "ifft", "rfft", "irfft"):
        two, three = (y, z) if name == "rfft" else (c2, c3)
        for n in ("2", "n"):
            for args, kw in [((two,), {}), ((three,), {}), ((two, [4, 2]), {}), ((three,), {"axes": [0, -1]}), ((two,), {"norm": "ortho"}), ((three, [2, 3], [0, 1], "forward"), {})]:
                case(f"fft.{name}{n}", *args, **kw)
        case(f"fft.{name}n", two, axes=[-1])
    for name in ("fftshift", "ifftshift"):
        for args, kw in [((x,), {}), ((T([1, 2, 3, 4, 5]),), {}), ((y,), {}), ((y, 1), {}), ((z,), {"axes": [0, -1]}), ((BOOLS,), {"axes": -2})]:
            case("fft." + name, *args, **kw)
    for name in ("fftfreq", "rfftfreq"):
        for args, kw in [((4,), {}), ((5,), {}), ((6, 0.5), {}), ((3,), {"d": 2.0}), ((1,), {})]:
            case("fft." + name, *args, **kw)


def fast():
    x, w, b = F([2, 4], 120), F([4], 121), F([4], 122)
    low = [F(shape, seed, dtype=mx.bfloat16) for shape, seed in (([2, 4], 123), ([4], 124), ([4], 125))]
    for args in [(x, w, 0.00001), (x, None, 0.1), (F([2, 1, 4], 126), w, 0.01), (low[0], low[1], 0.001), (T([0.0, 0.0, 0.0, 0.0]), w, 0.00001)]:
        case("fast.rms_norm", *args)
    for args in [(x, w, b, 0.00001), (x, None, None, 0.1), (x, w, None, 0.01), (x, None, b, 0.01), (*low, 0.001), (F([2, 1, 4], 127), w, b, 0.00001)]:
        case("fast.layer_norm", *args)
    r = F([1, 1, 3, 4], 128)
    plain_rope = {"traditional": False, "base": 10000.0, "scale": 1.0, "offset": 0}
    for a, n, change in [(r, 4, {}), (r, 4, {"traditional": True}), (r, 2, {}), (r, 4, {"offset": 5, "base": 100.0}), (r, 4, {"scale": 0.5}), (F([2, 1, 2, 4], 129), 4, {"offset": T([1, 3])}),
                         (F([1, 1, 2, 4], 130, dtype=mx.float16), 4, {}), (r, 4, {"base": None, "freqs": T([1.0, 10.0])}), (F([3, 4], 131), 4, {}), (F([2, 3, 4], 132), 4, {})]:
        case("fast.rope", a, n, **{**plain_rope, **change})
    q, k, v = F([1, 2, 2, 4], 133), F([1, 2, 3, 4], 134), F([1, 2, 3, 4], 135)
    one = F([1, 1, 3, 4], 136), F([1, 1, 3, 4], 137)
    seen = T([[True, True, False], [True, False, True]])
    for args, kw in [((q, k, v), {}), ((q, k, v), {"mask": seen}), ((q, k, v), {"mask": T([[0.0, -1.0, 0.5], [-INF, 0.0, 0.0]])}), ((q, k, v), {"mask": "causal"}), ((q, *one), {}), ((q, *one), {"sinks": T([0.5, -1.0])}),
                     ((F([1, 1, 2, 4], 138, dtype=mx.float16), F([1, 1, 2, 4], 139, dtype=mx.float16), F([1, 1, 2, 4], 140, dtype=mx.float16)), {"mask": "causal"})]:
        case("fast.scaled_dot_product_attention", *args, scale=0.5, **kw)
    logits = F([2, 4], 141)
    for args in [(logits, T([3, 0])), (F([2, 2, 3], 142), T([[0, 2], [1, 1]])), (F([3], 143), T(1)), (F([2, 3], 144, dtype=mx.bfloat16), T([0, 2])), (T([[1000.0, 0.0], [-INF, 0.0]]), T([0, 1]))]:
        case("fast.cross_entropy", *args)


def randomness():
    r = "random."
    for n in (0, 7, 123456, 5000000000):
        case(r + "key", n)
    for args in [(key(7),), (key(7), 3), (key(1), 1), (key(2), 5)]:
        case(r + "split", *args)
    mean, spread = T([0.5, -1.0]), T([[2.0, 0.5], [0.5, 1.0]])
    logits = T([[0.0, 1.0, 2.0], [3.0, -1.0, 0.5]])
    ways = {
        "normal": [([4],), ([2, 3],), ([],), ([0],), ([3], {"loc": 2.0, "scale": 0.5}), ([4], {"dtype": mx.float16}), ([3], {"dtype": mx.bfloat16}), ([2, 2], mx.float32, 1.0, 3.0),
                   ([2, 3], {"loc": V}), ([5],)],
        "uniform": [(0, 1, [4]), (-2.0, 3.0, [2, 3]), (T([0.0, 10.0]), T([1.0, 20.0]), [3, 2]), (0.0, 1.0, [3], mx.bfloat16), (0, 1, []), {"shape": [3]}, (0.0, 1.0, [5], {"dtype": mx.float16})],
        "bernoulli": [(0.5, [8]), (0.2, [2, 4]), (T([0.0, 0.5, 1.0]),), (T([[0.3], [0.9]]), [2, 4]), {"shape": [4]}, (0.7,)],
        "randint": [(0, 10, [6]), (-5, 5, [2, 3]), (T([0, 100]), T([10, 200]), [2, 2]), (0, 200, [4], mx.uint8), (3, 4, []), (0, 1000, [3], {"dtype": mx.int64})],
        "categorical": [(logits,), (logits, {"num_samples": 4}), (logits, {"axis": 0}), (logits, -1, [3, 2]), (T([0.0, -INF, 1.0]), {"num_samples": 6}), (logits, {"shape": [2]}), (logits.astype(mx.bfloat16),)],
        "gumbel": [([4],), ([2, 3],), ([],), ([3], mx.float16), ([3], {"dtype": mx.bfloat16})],
        "laplace": [([4],), ([2, 3],), ([],), ([3], {"loc": 1.0, "scale": 2.0}), ([3], mx.bfloat16)],
        "truncated_normal": [(-1.0, 1.0, [4]), (T([0.0, 1.0]), T([1.0, 2.0]), [3, 2]), (-2, 0, []), (T([0.0, -1.0]), 3.0), (-1.0, 1.0, [3], mx.float16)],
        "multivariate_normal": [(mean, spread), (mean, spread, [3]), (mean, spread, [2, 2]), (T([[0.0, 0.0], [5.0, 5.0]]), spread, [2])],
        "permutation": [(5,), (T([1.5, 2.5, 3.5, 4.5]),), (I([4, 2], 150),), (I([2, 4], 151), {"axis": 1}), (I([2, 3], 152), -1), (1,)],
    }
    for name, argses in ways.items():
        for i, args in enumerate(argses):
            args, kw = ((), args) if isinstance(args, dict) else (args[:-1], args[-1]) if isinstance(args[-1], dict) else (args, {})
            case(r + name, *args, **kw, key=key(7 + i))


def main():
    mx.set_default_device(mx.cpu)
    for part in (elementwise, pairwise, reductions, creation, shapes, gathering, products, linear_algebra, fourier, fast, randomness):
        part()
    lines = list(dict.fromkeys(json.dumps(c) for c in CASES))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mx.json")
    with open(path, "w") as f:
        f.write("[\n" + ",\n".join(lines) + "\n]\n")
    print(", ".join(f"{name} {n}" for name, n in sorted(COUNTS.items())))
    print(f"\n{len(lines)} cases of {len(COUNTS)} functions, {os.path.getsize(path) / 1024:.0f} KB")
    print("\nRefused by MLX:", *REFUSED, sep="\n  ")
    wanted = {name: 1 if name in ALIASES else 3 for name in FUNCTIONS.split()}
    few = {name: COUNTS[name] for name, least in wanted.items() if COUNTS[name] < least}
    assert not few, few
    assert not set(COUNTS) - set(wanted), set(COUNTS) - set(wanted)


if __name__ == "__main__":
    main()
