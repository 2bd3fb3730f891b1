"""One training loop for every model, and what it needs: settings, batches, optimisers, checkpoints, processes."""
