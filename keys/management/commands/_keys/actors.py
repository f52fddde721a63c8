"""Who runs a command, as the audit log names them."""

import os
import pwd

from projects.audit import Actor


def whoever_runs() -> Actor:
    """Return the system's user by the process's id: what the environment says, anybody can set."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"user {os.getuid()}"
    return Actor.system(f"command line ({name})")
