"""The target in the process of the test."""

from __future__ import annotations

import itertools
import logging
import signal
import tempfile
from collections.abc import Sequence
from typing import Any, NamedTuple, cast
from unittest import mock

from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.errors import StreamError, TargetError
from target_pinterest_audience.records.decoder import RecordDecoder
from target_pinterest_audience.reporting.stream_summary import stream_lines
from target_pinterest_audience.singer.output import Output
from target_pinterest_audience.singer.reader import MessageReader
from target_pinterest_audience.singer.target import TargetPinterestAudience
from target_pinterest_audience.vocabulary import ListType
from tests.support.account import ACCOUNT, TOKEN


class Outcome(NamedTuple):
    """All that can be seen of a run."""

    writes: list[tuple[str, str, str]]
    states: list[Any]
    error: str | None
    told: list[str]
    counts: list[str]


def run(blocks: Sequence[bytes], config: dict[str, Any], records: RecordDecoder) -> Outcome:
    """Run the target in this process, over a stream that comes in blocks."""
    told: list[str] = []
    handler = _Keeper(told)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with tempfile.TemporaryDirectory() as folder, Emulator(access_token=TOKEN, ad_account_id=ACCOUNT) as emulator:
        place = {"api_url": emulator.url, "ledger_url": f"sqlite:///{folder}/ledger.db"}
        if config["operation"] == "remove":
            for stream, kind in itertools.product([*"abxyz", "7"], ("", *(f" - {each.value}" for each in ListType))):
                emulator.backend.create_list(stream + kind)
        states: list[Any] = []
        reader = MessageReader(lambda: None)
        reader.records = records
        with mock.patch.object(Output, "write_state", lambda _, state: states.append(state)):
            target = TargetPinterestAudience(config={**config, **place}, message_reader=reader)
        logger = logging.getLogger("target-pinterest-audience")
        logger.addHandler(handler)
        error = None
        try:
            target.listen(cast("Any", iter(blocks)))
        except TargetError as raised:
            error = f"{type(raised).__name__}: {raised}"
            if isinstance(raised, StreamError):
                # As the program does: what came before the broken line is whole.
                target.current_run.flush()
        finally:
            logger.removeHandler(handler)
            target.current_run.close()
            for number, former in handlers.items():
                signal.signal(number, former)
        counts = [line.text for tally in target.run_log.tallies.values() for line in stream_lines(tally, {})]
        assert error or all(tally.is_balanced for tally in target.run_log.tallies.values()), counts
        names = {each.id: each.name for each in emulator.backend.customer_lists()}
        writes = [_as_written(call.path, call.request or {}, names) for call in emulator.backend.writes()]
    told = [words.replace(folder, "") for words in told]
    return Outcome(sorted(writes, key=lambda write: write[0]), states, error, sorted(told), counts)


def _as_written(path: str, request: dict[str, Any], names: dict[str, str]) -> tuple[str, str, str]:
    name = request.get("name") or names[path.rsplit("/", 1)[-1]]
    return str(name), str(request.get("operation_type", "ADD")), str(request.get("records", request.get("records_v2")))


class _Keeper(logging.Handler):
    def __init__(self, told: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is told."""
        self._told.append(record.getMessage())
