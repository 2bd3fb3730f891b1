"""The steps of a study. A rule of the workflow, a command of ``pig`` and a module here have one name.

Each module has a function of its own name, whose keyword arguments are the options of the command. (``import`` is a
keyword of Python: the module and the rule are ``import_data``.)
"""
