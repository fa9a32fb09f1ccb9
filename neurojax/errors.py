"""The errors that are not defects: bad input, and a stop that was asked for."""


class InputError(ValueError):
    """Bad input from outside: a file, an option, a recording.

    The message is one line that says what came in, what was expected and what to do.
    The command line prints it and exits with code 2; any other exception is a defect (code 1).
    """


class Interrupted(Exception):
    """A signal asked a run to stop; its state was saved. The command line exits with code 3."""
