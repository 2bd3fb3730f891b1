"""A stand-in for NVIDIA's management library, for processes of tests: the GPUs are those of the variable NVML_GPUS.

It holds JSON: a list of GPUs, each {"uuid": ...}, with "mig": [UUID or null of each place] if in MIG mode, with
"denied": true if the container may not use it, and with "mJ" if it counts its energy; or the name of the error with
which the library cannot be loaded. ``test_the_stand_in_is_like_the_real_one`` compares it with the real module.
"""

import json
import os

NVML_DEVICE_MIG_ENABLE = 1


class NVMLError(Exception): ...


class NVMLError_LibraryNotFound(NVMLError): ...


class NVMLError_DriverNotLoaded(NVMLError): ...


class NVMLError_LibRmVersionMismatch(NVMLError): ...


class NVMLError_NoPermission(NVMLError): ...


class NVMLError_NotSupported(NVMLError): ...


class NVMLError_NotFound(NVMLError): ...


def _gpus():
    return json.loads(os.environ["NVML_GPUS"])


def nvmlInit():
    if isinstance(_gpus(), str):
        raise globals()[_gpus()]("Driver/library version mismatch")


def nvmlShutdown(): ...


def nvmlDeviceGetCount():
    return len(_gpus())


def nvmlDeviceGetHandleByIndex(index):
    if _gpus()[index].get("denied"):
        raise NVMLError_NoPermission
    return _gpus()[index]


def nvmlDeviceGetMigMode(device):
    if "mig" not in device:
        raise NVMLError_NotSupported
    return [NVML_DEVICE_MIG_ENABLE if device["mig"] is not None else 0, 0]


def nvmlDeviceGetMaxMigDeviceCount(device):
    return len(device["mig"])


def nvmlDeviceGetMigDeviceHandleByIndex(device, index):
    if device["mig"][index] is None:
        raise NVMLError_NotFound
    return {"uuid": device["mig"][index]}


def nvmlDeviceGetUUID(handle):
    return handle["uuid"]


def nvmlDeviceGetHandleByUUID(uuid):
    for gpu in _gpus():
        if gpu["uuid"] == uuid:
            return gpu
    return {"uuid": uuid}  # of a MIG device


def nvmlDeviceGetTotalEnergyConsumption(handle):
    if "mJ" not in handle:
        raise NVMLError_NotSupported
    return handle["mJ"]
