"""Plumbing: files, devices, signals, progress, errors and the reading of settings. It knows nothing of images."""
