"""A stateful emulator of the part of Pinterest's API v5 that deals with customer lists, audiences and segments.

Pinterest has no sandbox for them. `Emulator` serves the API over HTTP; `Backend` is the same without a socket. Only
`Emulator` needs Werkzeug, which comes with the extra `emulator`.
"""

from __future__ import annotations

from target_pinterest_audience.emulator.advertising.segments import CustomerSegment
from target_pinterest_audience.emulator.errors import ApiError
from target_pinterest_audience.emulator.server import Emulator
from target_pinterest_audience.emulator.settings import Settings
from target_pinterest_audience.emulator.state.audiences import Audience
from target_pinterest_audience.emulator.state.backend import Backend
from target_pinterest_audience.emulator.state.calls import Call
from target_pinterest_audience.emulator.state.customer_lists import CustomerList
from target_pinterest_audience.emulator.state.faults import Fault

__all__ = [
    "ApiError",
    "Audience",
    "Backend",
    "Call",
    "CustomerList",
    "CustomerSegment",
    "Emulator",
    "Fault",
    "Settings",
]
