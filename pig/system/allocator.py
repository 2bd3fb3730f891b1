"""What becomes of memory that is freed."""

import ctypes

# mallopt(3): what lies free at the heap's end is given back above the first; what is larger than the second is given
# back whenever it is freed (32 MiB is the most that glibc takes).
TRIM_THRESHOLD, MMAP_THRESHOLD = (-1, 2**31 - 1), (-3, 2**25)


def keep_freed_memory() -> None:
    """Let glibc's malloc keep freed memory for what is allocated next; the malloc of other systems does as it does.

    A network allocates its activations anew at each call. Given back in between, each page of them would be cleared and
    mapped again, which was a ninth of the time of sampling (docs/devices.md).
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(*TRIM_THRESHOLD)
        mallopt(*MMAP_THRESHOLD)
