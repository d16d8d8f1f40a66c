"""Freed memory is kept for the next array, where the C library can."""

import platform
import subprocess
import sys

import pytest

from vitalcam import allocator

FAULTS = """
import resource, sys
from vitalcam.allocator import keep_memory
if sys.argv[1:]:
    assert keep_memory()
def faults():
    b"x" * (48 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
first = faults()
print([faults() for _ in range(8)][-1] - first)
"""


def faults(*words):
    return int(subprocess.run([sys.executable, "-c", FAULTS, *words], check=True, capture_output=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_large_arrays_find_their_pages_where_the_last_one_left_them():
    assert faults("keep") < 0.05 * faults()


def test_elsewhere_nothing_is_touched(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(allocator.ctypes, "CDLL", pytest.fail)
    assert not allocator.keep_memory()
