"""The one error that means: the input is at fault, not the program."""


class InputError(ValueError):
    """Bad input from outside: a file, an option, a recording.

    The message is one line that says what came in, what was expected and what to do.
    The command line prints it and exits with code 2; any other exception is a defect (code 1).
    """
