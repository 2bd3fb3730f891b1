"""The energy that the GPUs of this process take, as NVIDIA's driver counts it (from Volta on).

Of processors nothing is said: their counters (RAPL) are of the whole package, with all other jobs on it, and only the
administrator may read them. Nor of MIG devices, since the driver counts for the whole GPU.
"""

from pig.system.gpus import visible


class _Begun:
    """What the counters stood at; a matter of the whole process."""

    joules: float | None = None


def begin() -> None:
    """Note what the counters stand at, before the work."""
    _Begun.joules = _counted()


def joules() -> float | None:
    """Return the energy since :func:`begin`, in J, of all GPUs of this process; None where no driver tells."""
    if _Begun.joules is None:
        return None
    now = _counted()
    return None if now is None else now - _Begun.joules


def _counted() -> float | None:
    """Return the sum of the counters of the GPUs that this process may use, in J."""
    import pynvml

    uuids = visible().values()
    if not uuids:
        return None
    try:
        pynvml.nvmlInit()
        try:
            handles = [pynvml.nvmlDeviceGetHandleByUUID(uuid) for uuid in uuids]
            return sum(int(pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu)) for gpu in handles) / 1000  # of mJ
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:  # an older GPU, a MIG device, no permission
        return None
