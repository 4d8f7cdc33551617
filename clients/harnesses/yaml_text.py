"""YAML: one part of a text is changed, and every other byte stays. PyYAML says where each part lies."""

import math
from typing import Any

from teamroom.clients.harnesses.syntax import BrokenError, Steps

MAPPING, SEQUENCE = "mapping", "sequence"


class Yaml:
    """YAML, one document to a file."""

    name = "YAML"

    def load(self, text: str) -> Any:
        """Return the value of a text."""
        import yaml

        try:
            found = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise BrokenError(_where(error)) from None
        return {} if found is None else found

    def insert_key(self, text: str, container: Steps, key: str, value: Any) -> str:
        """Return the text with one more key at the end of a mapping."""
        return _insert(text, container, {key: value})

    def append_item(self, text: str, container: Steps, value: Any) -> str:
        """Return the text with one more item at the end of a sequence."""
        return _insert(text, container, [value])

    def remove(self, text: str, path: Steps) -> str:
        """Return the text without a key or item."""
        node = _find(text, path[:-1])
        at = _position(node, path[-1])
        spans = [_span(child) for child in node.value]
        start, end = spans[at]
        if node.flow_style:
            if at + 1 < len(spans):
                end = spans[at + 1][0]
            elif at:
                start = spans[at - 1][1]
            return text[:start] + text[end:]
        start, end = _line_start(text, start), _next_line(text, _last_leaf_end(node.value[at]))
        empty = (
            "" if len(spans) > 1 else f"{' ' * (node.start_mark.column + 2)}{'{}' if node.id == MAPPING else '[]'}\n"
        )
        head = text[start : spans[at][0]]
        if head.strip() not in ("", "-"):  # `- - a`: the line also begins something else
            raise BrokenError("an entry begins in the middle of a line")
        return text[:start] + empty + text[end:]


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return "it is not YAML" if mark is None else f"line {mark.line + 1} is not YAML"


def _find(text: str, path: Steps) -> Any:
    node = _compose(text)
    for key in path:
        child = node.value[_position(node, key)]
        node = child[1] if isinstance(child, tuple) else child
    return node


def _compose(text: str) -> Any:
    import yaml

    return yaml.compose(text, Loader=yaml.SafeLoader)


def _position(node: Any, key: str | int) -> int:
    if isinstance(key, int):
        return key
    return next(at for at in range(len(node.value) - 1, -1, -1) if node.value[at][0].value == key)


def _insert(text: str, container: Steps, value: Any) -> str:
    import yaml

    node = _find(text, container) if _compose(text) is not None else None
    if node is not None and (node.flow_style or not node.value):
        flow = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=math.inf, allow_unicode=True)
        inner = flow.strip()[1:-1]
        at = node.end_mark.index - 1
        before = text[:at].rstrip()
        between = "" if not node.value else " " if before.endswith(",") else ", "
        return text[:at] + between + inner + text[at:]
    block = yaml.safe_dump(value, default_flow_style=False, sort_keys=False, width=math.inf, allow_unicode=True)
    indent = " " * (0 if node is None else node.start_mark.column)
    at = len(text) if node is None else _next_line(text, _last_leaf_end(node))
    gap = "" if not text[:at] or text[:at].endswith("\n") else "\n"
    new = gap + "".join(f"{indent}{line}\n" for line in block.splitlines())
    return text[:at] + (new.replace("\n", "\r\n") if "\r\n" in text else new) + text[at:]


def _span(child: Any) -> tuple[int, int]:
    """Return where a pair or an item begins and ends. A block item begins at its dash."""
    first, last = child if isinstance(child, tuple) else (child, child)
    return first.start_mark.index, last.end_mark.index


def _last_leaf_end(node: Any) -> int:
    """Return where the last scalar or flow of a block ends: the end of the block itself is after its comments."""
    while True:
        if isinstance(node, tuple):
            node = node[1]
        elif isinstance(node.value, list) and node.value and not node.flow_style:
            node = node.value[-1]
        else:
            return int(node.end_mark.index)


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _next_line(text: str, at: int) -> int:
    """Return where the line after a position begins; the position itself if a line begins there."""
    if at == 0 or text[at - 1] == "\n":
        return at
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1
