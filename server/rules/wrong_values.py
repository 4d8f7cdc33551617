"""Says in plain words what is wrong with a value, for people and models alike."""

import math
from collections.abc import Mapping
from typing import Any

WORDS = {
    "missing": "is needed",
    "extra_forbidden": "is not known",
    "string_type": "must be a text",
    "string_unicode": "must be a text",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_pattern_mismatch": "does not have the right form",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "too_long": "must have at most {max_length} items",
    "too_short": "must have at least {min_length} items",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}
"""The words for each kind of fault that pydantic finds, with what it says about it."""

EMPTY = "must not be empty"

BOUNDS = frozenset({"greater_than", "greater_than_equal", "less_than", "less_than_equal"})
"""The faults of a number that is beyond a bound. NaN and the infinities are, too, and another number is not meant."""


def say_wrong(fault: Mapping[str, Any]) -> str:
    """What is wrong, to be put after the name of the value. `fault`: an error as pydantic gives it."""
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])  # our own words
    if fault["type"] in BOUNDS and _is_not_finite(fault.get("input")):
        return WORDS["finite_number"]
    said = {name: _plain(value) for name, value in fault.get("ctx", {}).items()}
    if said.get("min_length") == "1":
        return EMPTY
    words = WORDS.get(fault["type"])
    return str(fault["msg"]) if words is None else words.format(**said)  # a kind of our own has words of our own


def _is_not_finite(value: Any) -> bool:
    """Whether a value, or what a text says, is NaN or an infinity."""
    try:
        return not math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
