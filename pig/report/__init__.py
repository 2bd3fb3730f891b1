"""The tables and figures of a study."""
