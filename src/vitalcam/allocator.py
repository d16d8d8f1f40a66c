"""The C library's allocator, for commands that make and drop the same large arrays again and again."""

from __future__ import annotations

import ctypes
import platform

_KEPT = (  # numbers of glibc's malloc.h, and what is set
    (-4, 0),  # M_MMAP_MAX: no block is a mapping of its own, however large
    (-1, 2**31 - 1),  # M_TRIM_THRESHOLD, bytes: less at the end of the heap is not given back
    (-2, 256 << 20),  # M_TOP_PAD, bytes: the heap grows in large steps
)


def keep_memory() -> bool:
    """Keep freed memory for the next array, where the C library is glibc; elsewhere do nothing.

    Otherwise every large array is mapped anew, and the kernel clears and hands over its pages one by one: a quarter of
    a training step on a CPU. It holds for the whole process, which then keeps what it once needed; hence it is for
    commands to call, not for a library.

    Returns:
        whether it was done.

    Source: mallopt(3).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return all([library.mallopt(number, value) for number, value in _KEPT])
