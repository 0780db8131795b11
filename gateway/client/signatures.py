"""Build methods from functions, so that both clients share one definition of parameters and docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeVar

CallableT = TypeVar("CallableT", bound=Callable[..., object])


def copy_signature(method: CallableT, build: Callable[..., object]) -> CallableT:
    """Give a method the name, the docstring and the parameters of the function that builds its calls."""
    signature = inspect.signature(build)
    self = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    parameters = [self, *signature.parameters.values()]
    method.__name__, method.__doc__ = build.__name__, build.__doc__
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=parameters, return_annotation=inspect.Signature.empty
    )
    return method
