"""Standard input, which may hold a token, and standard output, which may be gone."""

import io
import os
import sys
from contextlib import suppress
from getpass import getpass
from typing import Final

# More than a token has, and nothing that anybody could fill the memory with.
_MOST: Final = 4096


def on_terminal() -> bool:
    """Say whether somebody sits in front of standard input."""
    # None where it was closed.
    return sys.stdin is not None and sys.stdin.isatty()


def presented() -> str:
    """Return the token on standard input; on a terminal it is asked for, and not echoed."""
    if on_terminal():
        with suppress(EOFError):
            return getpass("Key: ").strip()
        return ""
    try:
        return sys.stdin.read(_MOST).strip() if sys.stdin is not None else ""
    except UnicodeDecodeError:
        return ""


def tolerate_any_name() -> None:
    """A name in letters that the terminal's encoding lacks is written with escapes, and fails nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def drop_output() -> None:
    """Lead standard output to nowhere: else Python would fail over it again when it ends."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
