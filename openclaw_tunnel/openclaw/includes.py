"""``$include`` of openclaw.json: one settings file made of several, with the limits of OpenClaw 2026.9.6.

A path is relative to the file that includes; it and what it leads to must be below the folder of openclaw.json or one
of ``OPENCLAW_INCLUDE_ROOTS``. A string stands for what the file holds; an array's files are merged in order: objects
key by key, arrays one after the other, of other values the last. Keys beside ``$include`` are merged over it.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.json5doc.document import MAX_ITEMS, Document, kind_of, parse_any, read_bytes, too_deep
from openclaw_tunnel.json5doc.lines import KeyPath

INCLUDE = "$include"
MAX_DEPTH = 10
MAX_PATH = 4096
MAX_FILES = 100
MAX_TOTAL_BYTES = 4 * 1024 * 1024
"""Of all included files; OpenClaw has a limit for each only."""

_MOST_PLACES = 1000  # of an object with more keys only the place of itself is remembered
_UNMERGED = frozenset({"__proto__", "prototype", "constructor"})


def include_all(document: Document, roots: Sequence[Path], wanted: frozenset[str]) -> tuple[Document, tuple[Path, ...]]:
    """The document with everything in it that it includes, and the files that were read for it.

    Args:
        document: openclaw.json as it was read; ``path`` is absolute.
        roots: the folders of ``OPENCLAW_INCLUDE_ROOTS``.
        wanted: the keys of the file that are of interest; the others are left out, and what they include is not read.

    Raises:
        ConfigError: a file cannot be included; the ``$include`` is named with file and line.
    """
    includer = _Includer(document, roots, wanted)
    try:
        value = includer.expand(document, document.value, (), (), (Path(document.path),))
    except RecursionError:
        raise too_deep(document.path, document.hint) from None
    if not isinstance(value, dict):
        raise ConfigError(f"{document.path} includes {kind_of(value)}, not an object", hint=document.hint)
    merged = Document(document.path, document.text, value, document.hint, includer.origins)
    return merged, tuple(includer.files)


def merge(below: Any, above: Any) -> Any:
    """``above`` laid over ``below``: objects are merged, arrays joined, anything else replaced."""
    if isinstance(below, list) and isinstance(above, list):
        return [*below, *above]
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    merged = {key: value for key, value in below.items() if key not in _UNMERGED}
    for key, value in above.items():
        if key not in _UNMERGED:
            merged[key] = merge(merged[key], value) if key in merged else value
    return merged


class _Includer:
    def __init__(self, document: Document, roots: Sequence[Path], wanted: frozenset[str]) -> None:
        folder = Path(document.path).parent
        self.roots = (folder, *roots)
        self.real_roots = tuple(Path(os.path.realpath(root)) for root in self.roots)
        self.wanted = wanted
        self.origins: dict[KeyPath, tuple[Document, KeyPath]] = {}
        self.files: list[Path] = []
        self.bytes_left = MAX_TOTAL_BYTES
        self.items_left = MAX_ITEMS - _items(document.text.encode())

    def expand(self, document: Document, value: Any, keys: KeyPath, at: KeyPath | None, chain: tuple[Path, ...]) -> Any:
        """``value`` with its includes done.

        Args:
            keys: where it is in ``document``.
            at: where it comes to be in the whole; None within arrays, whose elements move.
            chain: the files that are being included, the outermost first.
        """
        if isinstance(value, list):
            return [self.expand(document, v, (*keys, i), None, chain) for i, v in enumerate(value)]
        if not isinstance(value, dict):
            return value
        own = {key: v for key, v in value.items() if key != INCLUDE and (at != () or key in self.wanted)}
        if INCLUDE not in value:
            return self._keys(document, own, keys, at, chain)
        included = self._included(document, value[INCLUDE], (*keys, INCLUDE), at, chain)
        if not own:
            return included
        if not isinstance(included, dict):
            raise document.error((*keys, INCLUDE), "has keys beside it, and the file does not hold an object")
        return merge(included, self._keys(document, own, keys, at, chain))

    def _keys(
        self, document: Document, own: Mapping[str, Any], keys: KeyPath, at: KeyPath | None, chain: tuple[Path, ...]
    ) -> dict[str, Any]:
        result = {}
        if at is not None and len(own) > _MOST_PLACES:
            at = None
        for key, value in own.items():
            place = None if at is None else (*at, key)
            if place is not None and len(chain) > 1:
                self.origins[place] = (document, (*keys, key))
            elif place is not None:
                self.origins.pop(place, None)  # the outermost file has it, whoever was merged before
            result[key] = self.expand(document, value, (*keys, key), place, chain)
        return result

    def _included(
        self, document: Document, value: Any, keys: KeyPath, at: KeyPath | None, chain: tuple[Path, ...]
    ) -> Any:
        if isinstance(value, str):
            return self._file(document, value, keys, at, chain)
        if not isinstance(value, list):
            raise document.error(keys, f"must be a path or an array of paths, not {kind_of(value)}")
        result: Any = {}
        for index, name in enumerate(value):
            if not isinstance(name, str):
                raise document.error((*keys, index), f"must be a path, not {kind_of(name)}")
            result = merge(result, self._file(document, name, (*keys, index), at, chain))
        return result

    def _file(self, document: Document, name: str, keys: KeyPath, at: KeyPath | None, chain: tuple[Path, ...]) -> Any:
        path = self._path(document, name, keys)
        if path in chain:
            raise document.error(keys, f"includes {path}, which is being included already: a circle")
        if len(chain) > MAX_DEPTH:
            raise document.error(keys, f"includes {path} at more than {MAX_DEPTH} levels")
        if len(self.files) >= MAX_FILES:
            raise document.error(keys, f"includes more than {MAX_FILES} files")
        try:
            data = read_bytes(Path(os.path.realpath(path)), document.hint, one_name=True)
            if data is None:
                raise document.error(keys, f"includes {path}, which does not exist")
            self._spend(document, keys, data)
            text, value = parse_any(str(path), data, document.hint)
        except ConfigError as error:
            if error.message.startswith(f"{document.path} "):
                raise
            raise document.error(keys, f"cannot be included: {error.message}", error.hint) from None
        self.files.append(path)
        inner = Document(str(path), text, value if isinstance(value, dict) else {}, document.hint)
        return self.expand(inner, value, (), at, (*chain, path))

    def _path(self, document: Document, name: str, keys: KeyPath) -> Path:
        """The file that is meant, ``..`` resolved by name; it may be a symbolic link within the allowed folders."""
        if "\0" in name or len(name) >= MAX_PATH:
            raise document.error(keys, "is no path")
        path = Path(os.path.normpath(Path(document.path).parent / name))
        hint = "keep it below the folder of openclaw.json, or name its folder in OPENCLAW_INCLUDE_ROOTS"
        if len(str(path)) >= MAX_PATH or not any(path.is_relative_to(root) for root in self.roots):
            raise document.error(keys, f"leads out of the settings' folder: {str(path)[:200]}", hint)
        real = Path(os.path.realpath(path))
        if not any(real.is_relative_to(root) for root in self.real_roots):
            raise document.error(keys, f"leads out of the settings' folder by a symbolic link: {path}", hint)
        return path

    def _spend(self, document: Document, keys: KeyPath, data: bytes) -> None:
        """Account for what was read: many files may not make what one may not be."""
        self.bytes_left -= len(data)
        self.items_left -= _items(data)
        if self.bytes_left < 0 or self.items_left < 0:
            raise document.error(keys, "includes more than settings can be", "are these the right files?")


def _items(data: bytes) -> int:
    return sum(data.count(mark) for mark in (b",", b"{", b"["))
