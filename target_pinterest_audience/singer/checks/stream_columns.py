"""Checks the columns of one stream against its settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.hashing import Hashing
from target_pinterest_audience.identities.marks import (
    DEFAULT_REMOVAL_COLUMN,
    look_like_marks,
    mark_columns,
    named_in_any_case,
)
from target_pinterest_audience.identities.phone_countries import NO_COUNTRIES, PhoneCountries
from target_pinterest_audience.identities.phones import can_read_national_numbers
from target_pinterest_audience.records.paths import ELEMENTS, Path, fields_of
from target_pinterest_audience.routing.near_names import nearest_column, told_columns
from target_pinterest_audience.routing.plan import FormerLists, possible_lists
from target_pinterest_audience.routing.wrong_names import alike, hint_about
from target_pinterest_audience.settings import LoadMethod, Mode
from target_pinterest_audience.singer.checks.stream_names import some_names

if TYPE_CHECKING:
    from target_pinterest_audience.identities.types import IdentityType
    from target_pinterest_audience.run.run import Run
    from target_pinterest_audience.settings import StreamSettings
    from target_pinterest_audience.singer.checks.stream_names import StreamNames
    from target_pinterest_audience.singer.checks.warnings import StreamWarnings


@dataclass(frozen=True, slots=True)
class StreamColumns:
    """The columns of one stream under one schema.

    Attributes:
        stream: the stream's name after stream maps.
        settings: the stream's settings.
        properties: column → its JSON schema.
        paths: the text of each path that the settings name, and the path.
        identities: identity column → its type.
        warnings: logs warnings about the stream.
    """

    stream: str
    settings: StreamSettings
    properties: Mapping[str, Any]
    paths: Mapping[str, Path]
    identities: Mapping[str, IdentityType]
    warnings: StreamWarnings

    def check_skipped(self, run: Run, names: StreamNames) -> None:
        """Warn that the stream is skipped because it has no identity column.

        Raises:
            ConfigurationError: it had identity columns in an earlier run with these settings, so that its people would
                stay on their lists forever.
        """
        former = self._former_lists(run)
        if former.own:
            msg = (
                f"Stream {self.stream} no longer has an identity column, but earlier runs added people from it to "
                "lists. They would stay there, whatever happens to their rows. "
                f"{told_columns(self.properties)} Name the right column in `identity_columns`, or deselect the stream "
                "in the tap."
            )
            raise ConfigurationError(msg)
        message = names.skip(self.stream, self.properties)
        if message is not None:
            self.warnings.warn(message)
            if former.others:
                self.warnings.warn(
                    "other settings added people from a source with this name to other lists: "
                    f"{some_names(former.others)}. If it is the same table, those people stay there: map their "
                    "column with `identity_columns`. If it is another table, ignore this warning."
                )

    def _former_lists(self, run: Run) -> FormerLists:
        is_its_own = self.settings.source_name is None or "source_name" in self.settings.own
        if not is_its_own or self.settings.load_method is LoadMethod.APPEND_ONLY:
            return FormerLists([], [])
        source = self.settings.source_name or self.stream
        return run.former_lists(source, possible_lists(self.stream, self.settings))

    def check_named(self) -> None:
        """Check that the stream has the columns that its settings name.

        Raises:
            ConfigurationError: the stream lacks its consent column or its list name column, or the list name column
                holds identities.
        """
        consent_column = self.settings.consent_column if self.settings.operation is Mode.ADD else None
        if consent_column is not None:
            self._check_exists(consent_column, "consent_column", "the consent of its people is unknown")
        list_name_column = self.settings.list_name_column
        if list_name_column is not None:
            self._check_exists(list_name_column, "list_name_column", "the lists of its people are unknown")
        if list_name_column in self.identities:
            msg = (
                f"Column {list_name_column} of stream {self.stream} holds identities, which `list_name_column` would "
                "use as names of lists. Name the column that holds the name of the audience."
            )
            raise ConfigurationError(msg)
        self._suggest_addresses(consent_column)

    def phone_countries(self, hashing: Hashing) -> PhoneCountries:
        """Return how rows name the country of their phone numbers.

        Args:
            hashing: whether plain values are hashed or rejected.

        Raises:
            ConfigurationError: the stream lacks the column that `phone_country_column` names; or the extra `phone` is
                not installed, so that national numbers cannot be read.
        """
        countries = PhoneCountries(self.settings.phone_country, self.settings.phone_country_column)
        has_phones = "PHONE" in {kind.name for kind in self.identities.values()}
        if hashing is Hashing.PREHASHED or not has_phones or not countries.are_set:
            return NO_COUNTRIES
        if countries.column is not None:
            self._check_exists(
                countries.column, "phone_country_column", "the countries of its phone numbers are unknown"
            )
        if not can_read_national_numbers():
            setting = "phone_country" if countries.column is None else "phone_country_column"
            msg = (
                f"`{setting}` is set for stream {self.stream}, but national phone numbers need the extra `phone`. "
                "Install target-pinterest-audience[phone]. Without the setting, the target reads only numbers with + "
                "or 00 and a country code."
            )
            raise ConfigurationError(msg)
        return countries

    def _check_exists(self, column: str, setting: str, effect: str) -> None:
        if column not in self.properties and column not in self.paths:
            msg = (
                f"Stream {self.stream} has no column {column}, which `{setting}` names, so {effect}. Correct the name, "
                "or select the column in the tap."
            )
            raise ConfigurationError(msg + hint_about(column, self.properties))
        self._check_single(column, setting)

    def _check_single(self, column: str, setting: str) -> None:
        """Check that a setting that is about the whole row does not lead into an array.

        Raises:
            ConfigurationError: it does.
        """
        path = self.paths.get(column)
        if path is None:
            return
        leads_to_array, schema = ELEMENTS in column, self.properties.get(path.column)
        for name, _ in path.fields:
            inner = fields_of(schema)
            if inner is None:
                break
            leads_to_array = leads_to_array or inner.in_array
            schema = inner.properties.get(name, {})
        if leads_to_array:
            msg = (
                f"`{setting}` names {column} of stream {self.stream}, which leads into an array, but a row can have "
                "only one such value. Name a column or a field outside of arrays; only `identity_columns` takes arrays."
            )
            raise ConfigurationError(msg)

    def _suggest_addresses(self, consent_column: str | None) -> None:
        """Warn if none of the identity columns, which were found by name, holds addresses, but another column may."""
        if self.settings.identity_columns or "EMAIL" in {kind.name for kind in self.identities.values()}:
            return
        others = (consent_column, self.settings.list_name_column, self.settings.removal_column)
        candidate = nearest_column(self.properties, others, addresses_only=True)
        if candidate is not None:
            self.warnings.warn(
                f"only {', '.join(self.identities)} {'is' if len(self.identities) == 1 else 'are'} read. Column "
                f"`{candidate.column}` may hold e-mail addresses. If it does, set `identity_columns` for the stream: "
                f"{candidate.setting(self.stream, self.identities)}."
            )

    def check_marks(
        self,
        declared: Collection[str],
        raw_columns: Collection[str],
        unread_columns: Collection[str],
        key_properties: Collection[str],
    ) -> None:
        """Check the columns that mark deleted rows, and warn of similar columns that are not used.

        Args:
            declared: the columns of the schema, including those that the SDK removes from it.
            raw_columns: the columns of the tap's rows.
            unread_columns: those that no stream map reads.
            key_properties: the columns of the key.

        Raises:
            ConfigurationError: the stream lacks the column that `removal_column` names.
        """
        setting = self.settings.removal_column
        if setting is not None and setting in self.paths:
            self._check_single(setting, "removal_column")
        elif setting is not None and not named_in_any_case(setting, {*declared, *raw_columns}):
            msg = (
                f"Stream {self.stream} has no column {setting}, which `removal_column` names, so deleted people would "
                "stay on the list. Correct the name, or select the column in the tap. If the stream has no such "
                f"column, set `streams.{self.stream}.removal_column` to `{DEFAULT_REMOVAL_COLUMN}`: at the top level, "
                "`removal_column` applies to every stream."
            )
            raise ConfigurationError(msg + hint_about(setting, self.properties))
        used = {*mark_columns(declared, setting), *mark_columns(raw_columns, setting)}
        used |= {*self.identities, *key_properties}
        used |= {str(self.settings.consent_column), str(self.settings.list_name_column)}
        unused = sorted({*look_like_marks(declared), *look_like_marks(unread_columns)} - used)
        if unused:
            verb, which = ("is", "it") if len(unused) == 1 else ("are", "one")
            self.warnings.warn(
                f"column {' and column '.join(unused)} may mark deleted rows, and {verb} not used. If {which} does, "
                "name it in `removal_column`; otherwise, deleted people stay on the list."
            )
        for name in self.settings.identity_columns.keys() - self.identities:
            near = alike(name, self.properties)
            if near:
                self.warnings.warn(
                    f"it has no column {name}, which `identity_columns` names, but it has {near[0]}. A name must be "
                    "exact. Correct the setting."
                )
