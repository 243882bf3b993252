"""What uses a list from which a run removes many people, or was about to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_pinterest_audience.errors import RemovalCeilingError
from target_pinterest_audience.pinterest.errors import PinterestError
from target_pinterest_audience.pinterest.usage import Usage, told_uses, usage_of_list

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.client import PinterestClient


def with_uses(error: RemovalCeilingError, client: PinterestClient) -> RemovalCeilingError:
    """Return the error with what uses its list: whoever raises the setting must know whom the ads will reach.

    Args:
        error: the error.
        client: the ad account.
    """
    if error.customer_list_id is None:
        return error
    try:
        usage = usage_of_list(client, error.customer_list_id)
    except PinterestError:
        # The run has failed for its own reason, which must reach the person.
        return error
    words = _words(usage)
    return RemovalCeilingError(f"{error} {words}", error.customer_list_id) if words else error


def large_removal(list_id: str, many: str, client: PinterestClient, *, dry: bool) -> str | None:
    """Return a warning that people left a list that is in use; None if nothing may keep ads away from them.

    Args:
        list_id: the id of the list.
        many: how many of how many members left.
        client: the ad account.
        dry: whether this was a dry run, in which nobody left.
    """
    try:
        usage = usage_of_list(client, list_id)
    except PinterestError:
        return None
    if usage.is_certain and not any(each.may_keep_ads_away for each in usage.uses):
        return None
    return (
        f"{many} of customer list {list_id} {'would leave' if dry else 'left'} in this run, which "
        f"`max_removal_percent` allows. {' '.join(_uses(usage))} The ads of an ad group or "
        "campaign that excludes the list are shown to them."
    )


def _words(usage: Usage) -> str:
    """Return sentences about the uses of a list, and advice; none if nothing uses it."""
    sentences = _uses(usage)
    if not usage.is_certain or any(each.may_keep_ads_away for each in usage.uses):
        sentences.append(
            "Whoever leaves a list that is excluded sees the ads, and a run asks nobody. Remove people on purpose with "
            "`pinterest-audience prune --allow-removal-percent N --in-use` or `pinterest-audience clear --in-use`, or "
            "set the percentage for one run only."
        )
    return " ".join(sentences)


def _uses(usage: Usage) -> list[str]:
    sentences = []
    if usage.uses:
        sentences.append(f"The list is in use: {told_uses(usage.uses)}.")
    if not usage.is_certain:
        sentences.append(
            "Pinterest does not show whether an active ad group or campaign excludes the list. Look it up in "
            "Pinterest's Ads Manager."
        )
    return sentences
