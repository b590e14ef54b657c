"""How the C library gives memory back."""

from __future__ import annotations

import ctypes
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, for its next allocations.

    Otherwise glibc returns the large tensors of every training step to the kernel, which clears
    their pages again one by one in the next step: a tenth of the step's time on the CPU. The
    process does not get larger than at its peak.

    Returns:
        Whether it took effect: only glibc, the C library of most Linux systems, knows how.
    """
    if not sys.platform.startswith("linux"):
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:
        return False
    # Both have to be set: a threshold that is set by hand stops glibc from moving the other. Older
    # versions take no more than 32 MiB for the first.
    mapped = set_option(_MMAP_THRESHOLD, 1 << 30) or set_option(_MMAP_THRESHOLD, 32 << 20)
    trimmed = set_option(_TRIM_THRESHOLD, _LARGEST)
    return bool(mapped and trimmed)
