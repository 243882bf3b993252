"""What uses a list, in words, and the confirmation without which no command removes people from a list in use."""

from __future__ import annotations

from collections.abc import Mapping

from target_pinterest_audience.companion.output import show
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.models import Audience
from target_pinterest_audience.pinterest.usage import Usage, read_usage, told_uses


def usage_of_audience(account: PinterestClient, audience: Audience) -> Usage:
    """Return what uses an audience, or names the customer list that it is made of. Raises as `read_usage` does."""
    of_list = {audience.customer_list_id} if audience.customer_list_id is not None else set()
    return read_usage(account, {audience.id, *of_list})


def usage_sentences(usage: Usage, what: str) -> list[str]:
    """Return a sentence for each use, and for each part that Pinterest did not show.

    Args:
        usage: what uses it.
        what: the list or audience, as the end of a sentence.
    """
    sentences = [f"{each.told} {what}." for each in usage.uses]
    if not sentences and usage.is_certain:
        sentences = [f"No ad group and no campaign uses {what}."]
    return [_capital(each) for each in (*sentences, *usage.unread)]


def show_usage(usage: Usage, what: str) -> None:
    """Print on standard error what uses a list or an audience: the results of the command are on standard output."""
    for each in usage_sentences(usage, what):
        show(each, err=True)


def refuse_in_use(usage: Usage, what: str, *, in_use: bool, dry_run: bool = False) -> None:
    """Refuse to remove people from an audience that may keep ads away from them, unless `--in-use` was given.

    Args:
        usage: what uses it.
        what: the list or audience.
        in_use: whether `--in-use` was given.
        dry_run: whether nothing is removed. Then, print what the command will need, and refuse nothing.

    Raises:
        ConfigurationError: an active ad group or campaign excludes it, or Pinterest did not show whether one does.
    """
    if in_use:
        return
    keeping = [each for each in usage.uses if each.may_keep_ads_away]
    if dry_run:
        if keeping or not usage.is_certain:
            show("Without the dry run, this needs --in-use.", err=True)
        return
    if keeping:
        msg = (
            f"Nothing was done, because {what} keeps ads away from people: {told_uses(keeping)}. If it no longer holds "
            "these people, the ads are shown to them. Pause or change what uses it first. If this is intended, pass "
            "--in-use."
        )
        raise ConfigurationError(msg)
    if not usage.is_certain:
        msg = (
            "Nothing was done, because Pinterest does not show whether an active ad group or campaign excludes "
            f"{what}. If one does, its ads would be shown to everyone who is in it now. "
            f"{' '.join(usage.unread)} Look it up in Pinterest's Ads Manager, and then pass --in-use."
        )
        raise ConfigurationError(msg)


def as_json(usage: Usage) -> Mapping[str, object]:
    """Return what uses a list or an audience in the form that `--json` prints."""
    return {
        "uses": [{**each._asdict(), "how": each.how.value} for each in usage.uses],
        "uses_unread": list(usage.unread),
    }


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
