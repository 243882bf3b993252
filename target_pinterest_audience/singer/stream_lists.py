"""The customer lists that one stream feeds."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from target_pinterest_audience.identities.types import IdentityType
from target_pinterest_audience.routing.plan import ListPlan, ListReference, plan_lists
from target_pinterest_audience.settings import StreamSettings
from target_pinterest_audience.vocabulary import WireFormat


class StreamLists:
    """Plans the lists that one stream feeds, and knows which columns feed each list.

    Attributes:
        columns: identity column → its type.
    """

    def __init__(self, stream: str, columns: Mapping[str, IdentityType], settings: StreamSettings) -> None:
        """Begin without lists.

        Args:
            stream: the stream's name after stream maps.
            columns: identity column → its type.
            settings: the stream's settings.
        """
        self._stream = stream
        self._settings = settings
        self._columns_of: dict[ListReference, list[str]] = {}
        self.columns = columns

    def plan(self, list_name: str | None) -> dict[str, ListPlan]:
        """Return identity column → the list that it feeds.

        Args:
            list_name: the list that rows name; None if the settings choose the list.

        Raises:
            ConfigurationError: the settings give one id, but the columns need several lists.
        """
        plans = plan_lists(self.columns, self._stream, self._settings, list_name)
        for column, kind in self.columns.items():
            self._columns_of.setdefault(plans[kind].reference, []).append(column)
        return {column: plans[kind] for column, kind in self.columns.items()}

    def columns_feeding(self, references: Collection[ListReference], wire: WireFormat) -> list[str]:
        """Return the identity columns that feed a list.

        Args:
            references: all references to the list.
            wire: how their identities are sent.
        """
        feeding = {column for each in references for column in self._columns_of.get(each, ())}
        return [column for column, kind in self.columns.items() if column in feeding and kind.wire is wire]
