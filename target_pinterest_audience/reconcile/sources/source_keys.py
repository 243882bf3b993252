"""Source keys: the key properties of each source, and the kinds of values that they have held."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.membership.key_forms import formats_of
from target_pinterest_audience.membership.key_kinds import PRECISE, ROUNDED, WORDS, clash
from target_pinterest_audience.records.column_names import plain_name, plain_names

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.ledger import Ledger
    from target_pinterest_audience.membership.row_keys import RowDigester
    from target_pinterest_audience.routing.stream import StreamShape


class SourceKeys:
    """Notes the keys of the sources of a run, and refuses keys by which known rows could not be found again."""

    def __init__(self, ledger: Ledger, logger: logging.Logger) -> None:
        """Begin without sources.

        Args:
            ledger: the ledger.
            logger: logs warnings.
        """
        self._ledger = ledger
        self._logger = logger
        self._former_kinds: dict[int, Mapping[str, frozenset[str]]] = {}
        """Source → key property → the kinds of its values in former runs."""

    def note_key(self, source: int, shape: StreamShape) -> None:
        """Note the key of a source, within a transaction of the caller.

        Raises:
            ConfigurationError: its rows had another key in former runs.
        """
        former = self._ledger.catalogue.sources.key_properties(source)
        if former is None:
            self._ledger.catalogue.sources.set_key_properties(source, shape.key_properties)
        elif sorted(plain_names(former)) != sorted(shape.key_properties):
            msg = (
                f"The key of source {shape.source} changed: its rows had the key ({', '.join(former) or 'none'}) and "
                f"now have ({', '.join(shape.key_properties) or 'none'}). The target cannot match them with the rows "
                "of former runs. Restore the key. Or, to start over, give the source another `source_name`; what the "
                "ledger recorded under the old name stays in force."
            )
            raise ConfigurationError(msg)

    def digester_of(self, source: int, name: str, schemas: Mapping[str, Any]) -> RowDigester:
        """Return what digests the keys of a source's rows, by the rules that the source began with.

        Args:
            source: the source.
            name: its name.
            schemas: key property → its JSON schema.
        """
        catalogue = self._ledger.catalogue
        rules, kinds = catalogue.sources.key_rules(source), catalogue.sources.key_kinds(source)
        self._former_kinds.setdefault(source, kinds)
        # Earlier versions took a byte order mark for a part of the name.
        known_as = {plain_name(each): each for each in catalogue.sources.key_properties(source) or ()}
        return self._ledger.digester.rows(name, list(schemas), formats_of(schemas, rules), rules, kinds, known_as)

    def check_kinds(self, source: int, kinds: Mapping[str, Collection[str]]) -> None:
        """Check that new kinds of key values do not make other rows of known keys.

        Args:
            source: the source.
            kinds: key property → the new kinds of its values.

        Raises:
            ConfigurationError: the values of a key property changed their type since former runs.
        """
        catalogue = self._ledger.catalogue
        rules, known = catalogue.sources.key_rules(source), catalogue.sources.key_kinds(source)
        for name, new in kinds.items():
            former = self._former_kinds[source].get(name, frozenset())
            kind = clash(former and former | known.get(name, frozenset()), new, rules)
            if kind is not None:
                raise _changed_type(name, catalogue.sources.name(source), former, kind)

    def note_kinds(self, source: int, kinds: Mapping[str, Collection[str]]) -> None:
        """Note new kinds of key values, before the first row with them is written.

        Args:
            source: the source.
            kinds: key property → the kinds of its values.
        """
        catalogue = self._ledger.catalogue
        known = catalogue.sources.key_kinds(source)
        new = {name: set(each) - known.get(name, frozenset()) for name, each in kinds.items()}
        if any(new.values()):
            self._ledger.transact(partial(catalogue.sources.add_key_kinds, source, new))
        for name in [name for name, each in new.items() if PRECISE in each]:
            self._logger.warning(
                "Source %s: the key property %s has numbers with more digits than a floating-point number holds. "
                "A tap that rounds them, as tap-postgres does in LOG_BASED mode, changes the key: the target cannot "
                "find the rows that it updates or deletes. Read this table with FULL_TABLE only, or cast the column "
                "to text.", catalogue.sources.name(source), name,
            )  # fmt: skip


def _changed_type(name: str, source: str, former: Collection[str], kind: str) -> ConfigurationError:
    if kind == ROUNDED:
        # Rounded and precise values are numbers, too: what changed is their digits.
        former = {PRECISE}
    elif kind == PRECISE:
        former = {ROUNDED}
    before = " and ".join(WORDS[each] for each in sorted(former) if each not in {ROUNDED, PRECISE} or len(former) == 1)
    return ConfigurationError(
        f"The key property {name} of source {source} changed its type: it held {before} in former runs and now holds "
        f"{WORDS[kind]}. The target cannot match these rows with the rows of former runs, and sent nothing from them. "
        "Restore the type of the column, or how the tap reads it. Or, to start over, give the source another "
        "`source_name`; what the ledger recorded under the old name stays in force."
    )
