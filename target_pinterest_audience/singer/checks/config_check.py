"""What the target does for `meltano config test`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Final

from target_pinterest_audience.settings import Settings
from target_pinterest_audience.system.version import user_agent

MELTANO_TEST_STREAM: Final = "meltano_test_stream"
"""The stream that `meltano config test` sends. It has no identities, and must succeed whatever the settings name."""


def check_readiness(
    settings: Settings, logger: logging.Logger, shield: Callable[[], contextlib.AbstractContextManager[None]]
) -> None:
    """Make the checks of `pinterest-audience check`, and log their results.

    Args:
        settings: the settings.
        logger: gets the results.
        shield: delays signals while a token is exchanged and stored.

    Raises:
        TargetError: a check failed.
    """
    from target_pinterest_audience.run import readiness  # noqa: PLC0415 - only `meltano config test` needs it

    account = readiness.connect(settings, user_agent(), logger, shield)
    with contextlib.closing(account):
        for result in readiness.run_checks(settings, account):
            if result.error is not None:
                raise result.error
            level = logging.WARNING if result.warning else logging.INFO
            logger.log(level, "%s: %s", result.check, result.detail)
