"""The methods that PIG is compared with, each in a file of its own; all are :class:`pig.methods.base.Generator`."""
