"""One stream's rows on their way to the lists that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from singer_sdk.sinks import RecordSink

from target_pinterest_audience.identities import IdentityType, Remark
from target_pinterest_audience.pinterest import Operation
from target_pinterest_audience.routing import ListReference, find_columns, plan_lists
from target_pinterest_audience.rows import RowReader
from target_pinterest_audience.settings import LoadMethod, Mode, StreamSettings
from target_pinterest_audience.settings.declaration import DEFAULT_REMOVAL_COLUMN
from target_pinterest_audience.tally import StreamTally

if TYPE_CHECKING:
    from singer_sdk import Target

    from target_pinterest_audience.delivery import Delivery
    from target_pinterest_audience.settings import Settings

MELTANO_TEST_STREAM = "meltano_test_stream"
"""What `meltano config test` sends; it has no identities and must pass whatever the settings name."""


class SinkOwner(Protocol):
    """What a sink needs of its target."""

    settings: Settings
    delivery: Delivery
    tallies: dict[str, StreamTally]


class CustomerListSink(RecordSink):
    """Reads the rows of one stream under one schema; a changed schema makes a new sink.

    It holds no rows: they wait in the delivery, in one place for each list, so that the order of additions and removals
    outlives a change of schema.
    """

    def __init__(
        self,
        target: SinkOwner,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
    ) -> None:
        """Find the stream's identity columns and open the lists that they go to.

        Args:
            target: the target.
            stream_name: the stream, after stream maps.
            schema: its JSON schema.
            key_properties: the columns that tell its rows apart.

        Raises:
            ConfigurationError: the settings do not fit the stream.
        """
        super().__init__(cast("Target", target), stream_name, schema, key_properties)
        settings = target.settings
        stream = settings.for_stream(stream_name)
        self._delivery = target.delivery
        self._mode = stream.operation
        self._lists: dict[IdentityType, ListReference] = {}
        columns: dict[str, IdentityType] = {}
        if stream_name != MELTANO_TEST_STREAM:
            columns = find_columns(schema["properties"], stream_name, stream)
            self._lists = {
                kind: self._delivery.open(plan) for kind, plan in plan_lists(columns, stream_name, stream).items()
            }
        self.columns = columns
        self._tally = target.tallies.setdefault(stream_name, StreamTally(stream_name))
        self._introduce(stream)
        self._rows = RowReader(
            columns=columns,
            key_properties=self.key_properties,
            removal_column=stream.removal_column,
            hashing=settings.hashing,
            algorithm=settings.hash_algorithm,
            tally=self._tally,
        )

    def _introduce(self, stream: StreamSettings) -> None:
        """Warn of what the settings do not do for the stream."""
        properties = self.schema["properties"]
        if not self.columns:
            self._warn_once(
                "it is passed over, and its STATE goes on: none of its columns "
                f"({', '.join(properties)}) is named like an identity. If one is, say so in `identity_columns`, and "
                "read the rows again."
            )
            return
        if stream.removal_column not in {DEFAULT_REMOVAL_COLUMN, *properties}:
            self._warn_once(
                f"it has no column {stream.removal_column} (`removal_column`), so no row of it is taken for deleted."
            )
        if stream.load_method is LoadMethod.UPSERT:
            self._warn_once(
                "this version keeps no ledger yet, so `upsert` sends every row, as `append-only` does: a changed "
                "address is added, and the old one is not removed."
            )

    def _warn_once(self, words: str) -> None:
        """Warn of the stream, unless that was said before: a tap may repeat its SCHEMA a thousand times."""
        if words not in self._tally.warnings:
            self._tally.warnings.add(words)
            self.logger.warning("Stream %s: %s", self.stream_name, words)

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        """Take in one row.

        Args:
            record: the row after stream maps.
            context: `raw`, the row as the tap sent it, and `line`, its line in the stream.

        Raises:
            TargetError: the stream is broken, or a batch that this row filled could not be delivered.
        """
        rows, line = self._rows, context["line"]
        rows.tally.rows += 1
        deleted = rows.is_deleted(record, context["raw"])
        rows.tally.deleted_rows += deleted
        if not rows.check_key(record, line):
            rows.reject_row(record, Remark.KEY_IS_NULL, line)
            return
        if deleted and self._mode is Mode.REMOVE:
            # The row no longer asks for anybody's removal, and it never asked for anything else.
            return
        if not deleted and not self._is_valid(record):
            rows.reject_row(record, Remark.BREAKS_SCHEMA, line)
            return
        operation = Operation.REMOVE if deleted or self._mode is Mode.REMOVE else Operation.ADD
        for kind, identity in rows.identities(record, line):
            self._delivery.put(self._lists[kind], operation, identity, line)

    def _is_valid(self, record: dict[str, Any]) -> bool:
        if self._validator is None:
            return True
        if not self.include_sdc_metadata_properties:
            # The SDK has taken these columns out of the schema.
            record = dict(record)
            self._remove_sdc_metadata_from_record(record)
        try:
            self._validator.validate(record)
        except Exception:  # noqa: BLE001 - beside InvalidRecord, odd schemas make the validator itself stumble
            return False
        return True
