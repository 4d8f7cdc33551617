"""TOML: a new table is written at the end of the text; whatever else changes, tomlkit changes and keeps the rest."""

import tomllib
from collections.abc import Callable
from typing import Any

from teamroom.clients.harnesses.syntax import BrokenError, Steps


class Toml:
    """TOML with its comments."""

    name = "TOML"

    def load(self, text: str) -> Any:
        """Return the value of a text."""
        try:
            return tomllib.loads(text.replace("\r\n", "\n"))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise BrokenError(f"it is not TOML ({error})") from None

    def insert_key(self, text: str, container: Steps, key: str, value: Any) -> str:
        """Return the text with one more key in a table: as a table of its own at the end if that means the same."""
        expected = self.load(text)
        _at(expected, container)[key] = value
        if isinstance(value, dict):
            block = _block([*container, key], value)
            if (longer := self._with_block(text, block, expected)) is not None:
                return longer
        return self._edited(text, lambda document: _at(document, container).__setitem__(key, value))

    def append_item(self, text: str, container: Steps, value: Any) -> str:
        """Return the text with one more item: as a table of its own at the end if that means the same."""
        expected = self.load(text)
        _at(expected, container).append(value)
        if isinstance(value, dict):
            block = _block(list(container), [value])
            if (longer := self._with_block(text, block, expected)) is not None:
                return longer
        return self._edited(text, lambda document: _at(document, container).append(value))

    def remove(self, text: str, path: Steps) -> str:
        """Return the text without a key or item."""
        return self._edited(text, lambda document: _at(document, path[:-1]).__delitem__(path[-1]))

    def _with_block(self, text: str, block: str, expected: Any) -> str | None:
        """Return the text with a block at its end; None if it would not mean what is expected."""
        line_end = "\r\n" if "\r\n" in text else "\n"
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        longer = text + (gap + block).replace("\n", line_end)
        try:
            return longer if self.load(longer) == expected else None
        except BrokenError:
            return None

    def _edited(self, text: str, change: Callable[[Any], object]) -> str:
        import tomlkit
        from tomlkit.exceptions import TOMLKitError

        is_windows = "\r\n" in text
        try:
            document = tomlkit.parse(text.replace("\r\n", "\n"))
            change(document)
            edited = tomlkit.dumps(document)
        except (TOMLKitError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise BrokenError(f"its TOML cannot be changed in place ({error})") from None
        return edited.replace("\n", "\r\n") if is_windows else edited


def _at(document: Any, path: Steps) -> Any:
    for step in path:
        document = document[step]
    return document


def _block(path: list[Any], value: Any) -> str:
    """Return a table, or a list of tables, as it stands alone in a document."""
    import tomlkit

    whole: Any = value
    for key in reversed(path):
        whole = {key: whole}
    return tomlkit.dumps(_without_empty_tables(whole)).lstrip("\n")


def _without_empty_tables(value: dict[str, Any]) -> Any:
    """Return tables as tomlkit has them, without a header for those that hold only tables."""
    import tomlkit

    has_only_tables = all(isinstance(one, dict) for one in value.values()) and bool(value)
    table = tomlkit.table(is_super_table=has_only_tables)
    for key, one in value.items():
        table.append(key, _without_empty_tables(one) if isinstance(one, dict) else one)
    return table
