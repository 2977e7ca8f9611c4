"""The one exception for mistakes a user can mend."""


class LadaError(Exception):
    """Something the user can mend, said in one line: what is wrong, the value, what would do.

    Entry points print the message alone, without a traceback, and exit with code 2.
    """
