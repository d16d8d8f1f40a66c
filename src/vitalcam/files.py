"""Files are written whole or not at all; tables of numbers are read."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vitalcam.errors import OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_unfinished: set[Path] = set()


@contextmanager
def whole(path: Path, *, suffix: str = ".part") -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well, and vanishes when it does not.

    The folder is made where it is missing.

    Args:
        path: of the file.
        suffix: of the temporary path, for writers that go by it.

    Raises:
        OutputError: the folder or the file cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(3)}{suffix}")
    _unfinished.add(part)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise cannot(path, error) from None
    finally:
        _discard(part)


def write_text(path: Path, text: str) -> Path:
    """Write UTF-8 text, whole or not at all."""
    return write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all."""
    with whole(path) as part:
        part.write_bytes(content)
    return path


def probe(path: Path, *, folder: bool = False) -> None:
    """Find out before the work whether ``path`` (a file, or with ``folder`` any file in it) can be written.

    Raises:
        OutputError: it cannot; the message says why.
    """
    places = [path, *path.absolute().parents] if folder else path.absolute().parents
    try:
        if not folder and path.is_dir():
            raise OutputError(f"{path}: cannot be written: it is a folder; give the name of a file")
        place = next(place for place in places if place.exists())
        with tempfile.TemporaryFile(dir=place):  # folders that are missing will be made in it
            pass
    except OSError as error:
        raise cannot(path, error) from None


def discard_unfinished() -> None:
    """Remove what is being written; for a process that is about to end."""
    for part in list(_unfinished):
        _discard(part)


def _discard(part: Path) -> None:
    with suppress(OSError):
        part.unlink(missing_ok=True)
    _unfinished.discard(part)


def cannot(path: Path, error: OSError) -> OutputError:
    """The error for a path that the system does not let us write."""
    return OutputError(f"{path}: cannot be written: {error.strerror or error}; choose another place")


def columns(path: Path, count: int) -> NDArray[np.float64]:
    """The first columns (rows, count) of a table of numbers by comma, under a line of names.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such table.
    """
    import numpy as np  # only reading needs it

    with path.open(encoding="utf-8") as file:
        lines = [line for line in file if line.strip()][1:]
    return np.loadtxt(lines, delimiter=",", ndmin=2, usecols=range(count)) if lines else np.empty((0, count))
