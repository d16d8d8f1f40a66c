"""Files are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vitalcam.errors import OutputError

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
