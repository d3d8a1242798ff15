"""What a fitted decoder is, to the last bit."""

from types import FunctionType, MethodType, ModuleType

import numpy as np
import pandas as pd
import torch


def state(value):
    """Everything in a fitted object, recursively, as nested tuples that compare bit by bit.

    Seconds are left out. What cannot be taken apart raises: a state that is not seen is not proven equal.
    """
    if isinstance(value, torch.Tensor):
        bits = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        return ("tensor", str(value.dtype), tuple(value.shape), value.requires_grad, bits)
    if isinstance(value, np.ndarray) and value.dtype != object:
        return ("array", value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, pd.DataFrame):
        return ("table", state({str(name): value[name].tolist() for name in value}))
    if isinstance(value, float | np.floating):
        return ("float", np.float64(value).tobytes())
    if value is None or isinstance(value, bool | int | str | bytes | np.generic | np.dtype):
        return (type(value).__name__, value)
    if isinstance(value, type | FunctionType | MethodType | ModuleType) or (callable(value) and not vars_of(value)):
        return ("named", getattr(value, "__qualname__", getattr(value, "__name__", type(value).__qualname__)))
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if not is_duration(str(key))}
        return (
            "dict",
            tuple(sorted(((repr(key), state(item)) for key, item in kept.items()), key=lambda pair: pair[0])),
        )
    if isinstance(value, list | tuple | np.ndarray):
        return (type(value).__name__, tuple(state(item) for item in value))
    if isinstance(value, set | frozenset):
        return ("set", tuple(sorted(map(repr, value))))
    if isinstance(value, np.random.RandomState):
        return ("RandomState", state(value.get_state()))
    if vars_of(value):
        return (type(value).__qualname__, state(vars_of(value)))
    raise TypeError(f"do not know how to compare {type(value).__qualname__}")


def is_duration(name):
    return name.endswith("_time") or name in ("refit_time_", "seconds")


def vars_of(value):
    if hasattr(value, "__dict__"):
        return dict(vars(value))
    reduced = value.__getstate__()
    return reduced if isinstance(reduced, dict) else {}
