"""The person or service account that runs this process, for receipts and for the audit trail."""

from __future__ import annotations

import os
import pwd
import socket
from typing import NamedTuple


class Operator(NamedTuple):
    """Who runs a process, and where.

    Attributes:
        user: the name of the process's user; its number if it has no name, as in some containers.
        host: the name of the machine.
    """

    user: str
    host: str

    def __str__(self) -> str:
        """Return both, for people."""
        return f"{self.user}@{self.host}"


def this_operator() -> Operator:
    """Return who runs this process. Variables such as USER are not read: anyone can set them."""
    number = os.getuid()
    try:
        user = pwd.getpwuid(number).pw_name
    except KeyError:
        user = f"uid {number}"
    return Operator(user, socket.gethostname())
