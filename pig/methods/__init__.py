"""What a method is, its settings and its model folder, and PIG itself. The baselines are in ``baselines``."""
