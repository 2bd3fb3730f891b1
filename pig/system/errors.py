"""The one exception that means: the person running this can fix it."""


class UserError(ValueError):
    """A mistake in a file, a setting or a command.

    Its message is a whole sentence that names the file, row or key and says how to fix it; the command line
    prints it without a traceback and exits with status 2.
    """
