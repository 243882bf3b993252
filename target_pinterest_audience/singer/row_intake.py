"""Takes in the rows of one stream under one schema, one by one or in blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from target_pinterest_audience.errors import MissingKeyError
from target_pinterest_audience.identities.list_names import NO_LIST, named_list
from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.membership.events import CONTRIBUTING, Kind
from target_pinterest_audience.membership.row import Row, RowBlock
from target_pinterest_audience.records.paths import MISPLACED
from target_pinterest_audience.settings import LoadMethod, Mode
from target_pinterest_audience.singer.errors import MissingKeyPropertyError

if TYPE_CHECKING:
    from target_pinterest_audience.identities.extract import IdentityExtractor
    from target_pinterest_audience.membership.row import RowWriter
    from target_pinterest_audience.records.block import RecordBlock
    from target_pinterest_audience.records.position import Place
    from target_pinterest_audience.reporting.held_rows import HeldRows
    from target_pinterest_audience.settings import StreamSettings
    from target_pinterest_audience.singer.checks.warnings import StreamWarnings
    from target_pinterest_audience.singer.rejections import Rejections

_PLAIN_ROWS_FOR_AN_ODD_ONE: Final = 8
"""If a block has fewer plain rows than this for each odd row, all its rows are read one by one, which is faster."""


class RowIntake:
    """Reads rows: what each says about its people, and their identities. It passes them to a row writer."""

    def __init__(
        self,
        rows: IdentityExtractor,
        stream: StreamSettings,
        *,
        is_valid: Callable[[dict[str, Any]], bool] | None,
        writer: RowWriter | None,
        rejections: Rejections,
        warnings: StreamWarnings,
        held_rows: HeldRows | None,
    ) -> None:
        """Prepare.

        Args:
            rows: finds the identities in rows.
            stream: the stream's settings.
            is_valid: checks a record against its schema; None if records are not checked.
            writer: takes the rows; None if they have no identities.
            rejections: takes the values that Pinterest refuses.
            warnings: logs warnings about the stream.
            held_rows: chooses the rows that are held out; None if nobody is.
        """
        self._rows = rows
        self._columns = rows.columns
        self._keys = rows.key_properties
        self._tally = rows.tally
        self._removes = stream.operation is Mode.REMOVE
        self._appends = stream.load_method is LoadMethod.APPEND_ONLY
        self._consent_column = None if self._removes else stream.consent_column
        self._list_name_column = stream.list_name_column
        self._is_valid = is_valid
        self._writer = writer
        self._rejections = rejections
        self._warnings = warnings
        self._held_rows = held_rows

    @property
    def needed_columns(self) -> list[str]:
        """The columns of a record that the target reads."""
        others = [self._consent_column, self._list_name_column, self._rows.countries.column]
        columns = [*self._keys, *self._columns, *self._rows.removal_columns]
        return list(dict.fromkeys([*columns, *(name for name in others if name is not None)]))

    @property
    def reads_row_by_row(self) -> bool:
        """Whether rows must come one by one: to check each against its schema, or to end the run at a bad one."""
        return self._is_valid is not None or self._rejections.fails

    def take_record(self, record: dict[str, Any], place: Place, *, deleted: bool) -> None:
        """Take in one row.

        Args:
            record: the row after stream maps.
            place: its position.
            deleted: whether it was marked as deleted before stream maps.

        Raises:
            MissingKeyPropertyError: the row lacks a key property.
            TargetError: a batch that this row filled could not be delivered.
        """
        rows = self._rows
        self._rejections.note_rows(place.line, 1)
        rows.tally.rows += 1
        deleted = deleted or rows.is_deleted(record)
        rows.tally.deleted_rows += deleted
        try:
            has_key = rows.check_key(record, place)
        except MissingKeyError as error:
            raise MissingKeyPropertyError(str(error)) from None
        if not has_key:
            if deleted and self._columns:
                self._warnings.warn(
                    "a deleted row has no value in a key property, so the target cannot find the row to delete. If its "
                    "people are on the list, they stay there. Check the key of the table and of its stream map."
                )
            rows.reject_row(record, Remark.KEY_IS_NULL, place)
            return
        if self._writer is None:
            return
        kind, reason = self._read(record, deleted=deleted)
        name, unusable = named_list(record, self._list_name_column)
        if rows.may_be_deleted(record):
            unusable = Remark.MARK_IS_UNREADABLE
        if unusable is not None and not deleted and reason is None and kind is not Kind.REFUSED:
            # A row that refuses consent removes its people, whatever else is wrong with it.
            kind, reason = Kind.SEEN, unusable
        present = [column for column in self._columns if column in record]
        if reason is not None:
            named = rows.reject_row(record, reason, place)
        else:
            named = rows.identities(record, place, are_meant=name != NO_LIST)
        if deleted and self._appends and not self._removes and not named:
            self._warnings.warn(
                "a deleted row names nobody, and with `load_method: append-only` the target does not remember who was "
                "in it. Those people stay on the list. Use `upsert`."
            )
        # A refusal removes the identity in every form, and so does a deleted row that is known by its identities only.
        needs_forms = kind in {Kind.REFUSED, Kind.EXCLUDED} or (deleted and not self._keys)
        forms = rows.forms(record, named) if needs_forms and reason is None else {}
        held_rows = self._held_rows if kind in CONTRIBUTING and name != NO_LIST else None
        held = held_rows is not None and held_rows.takes(record, named)
        self._writer.write(Row(kind, record, named, present, place.line, deleted, name, forms, held))

    def _read(self, record: dict[str, Any], *, deleted: bool) -> tuple[Kind, Remark | None]:
        """Return what a record says about its people, and why the record is bad if it is."""
        consent = record.get(self._consent_column) if self._consent_column is not None else None
        if deleted:
            # A delete that carries only the key has nulls in all other columns, so a null is not a refusal here.
            refuses = consent is not None and consent is not MISPLACED and not self._rows.is_granted(consent)
            return (Kind.REFUSED if refuses else Kind.DELETED), None
        if self._is_valid is not None and not self._is_valid(record):
            return Kind.SEEN, Remark.BREAKS_SCHEMA
        if self._consent_column is None:
            return (Kind.EXCLUDED if self._removes else Kind.ARRIVED), None
        if self._consent_column not in record:
            return Kind.SEEN, Remark.CONSENT_IS_MISSING
        if consent is MISPLACED:
            # Nobody is added by an answer that cannot be read, and nobody is removed by it.
            return Kind.SEEN, Remark.CONSENT_IS_UNREADABLE
        granted = self._rows.is_granted(consent)
        self._tally.count_answers(1, int(granted), nulls=int(consent is None))
        return (Kind.GRANTED if granted else Kind.REFUSED), None

    def take_block(self, block: RecordBlock) -> None:
        """Take in a block of rows, with the same effect as `take_record` for each of them.

        Args:
            block: the rows as the tap sends them.

        Raises:
            MissingKeyPropertyError: a row lacks a key property.
            TargetError: a batch that these rows filled could not be delivered.
        """
        lines = block.lines
        self._rejections.note_rows(lines[0], lines[-1] + 1 - lines[0])
        odd = self._rows.odd_rows(block, self._consent_column, self._list_name_column)
        if len(odd) * _PLAIN_ROWS_FOR_AN_ODD_ONE > len(block):
            odd = list(range(len(block)))
        start = 0
        for at in odd:
            self._take_plain(block.part(start, at))
            self.take_record(block.record(at), block.place(at), deleted=False)
            start = at + 1
        self._take_plain(block.part(start, len(block)) if start else block)

    def _take_plain(self, block: RecordBlock) -> None:
        """Take in rows that have their key, are not deleted and, where consent is required, give it."""
        if not len(block):
            return
        self._tally.rows += len(block)
        if self._writer is None:
            return
        present = Kind.GRANTED if self._consent_column is not None else Kind.ARRIVED
        kind = Kind.EXCLUDED if self._removes else present
        if self._consent_column is not None:
            self._tally.count_answers(len(block), len(block))
        named = {column: self._rows.identity_layers(column, block) for column in self._columns}
        name_column = self._list_name_column
        usable = self._rows.list_names
        names = [usable[name] for name in block.column(name_column)] if name_column is not None else None
        forms = self._rows.forms_in(block) if kind is Kind.EXCLUDED else {}
        held = self._held_rows.take_block(block, named) if self._held_rows is not None and kind in CONTRIBUTING else ()
        self._writer.write_block(RowBlock(kind, block, named, names, forms, held))
