"""Finds lists and audiences at Pinterest by id or name, and says what may be meant if there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.errors import NotFoundError
from target_pinterest_audience.pinterest.models import Audience, CustomerList, CustomerSegment
from target_pinterest_audience.text.near import nearest_or_longer

T = TypeVar("T", Audience, CustomerList, CustomerSegment)


def did_you_mean(name: str, known: Iterable[str | None]) -> str:
    """Return a question that names the nearest known name, with a blank before it; empty if none is near."""
    near = nearest_or_longer(name, [each for each in known if each])
    return f' Did you mean "{near}"?' if near is not None else ""


def find_list(account: PinterestClient, which: str) -> CustomerList:
    """Return the customer list with an id or a name; ids take precedence.

    Raises:
        ConfigurationError: there is none, or several have that name; or it is an audience that was given.
    """
    found = list(account.customer_lists())
    chosen = choose(found, which, "customer lists")
    if chosen is None:
        audience = choose(list(account.audiences()), which, "audiences")
        if audience is not None:
            raise _is_an_audience(audience)
        raise not_found(found, which, "customer list", "lists")
    return chosen


def find_audience(account: PinterestClient, which: str) -> Audience:
    """Return the audience with an id or a name; ids take precedence.

    Raises:
        ConfigurationError: there is none, or several have that name; or it is a customer list that was given.
    """
    if which.isascii() and which.isdigit():
        # Only digits are safe in the path of a URL.
        try:
            return account.audience(which)
        except NotFoundError:
            pass
    found = list(account.audiences())
    chosen = choose(found, which, "audiences")
    if chosen is None:
        lists = list(account.customer_lists())
        listed = choose(lists, which, "customer lists")
        if listed is not None:
            raise _is_a_list(listed, found)
        raise not_found(found, which, "audience", "audiences")
    return chosen


def audiences_by_list(audiences: Iterable[Audience]) -> dict[str, Audience]:
    """Return customer list → its oldest audience."""
    found: dict[str, Audience] = {}
    for each in audiences:
        if each.customer_list_id is not None:
            found.setdefault(each.customer_list_id, each)
    return found


def choose(found: Sequence[T], which: str, what: str) -> T | None:
    """Return what has an id or a name, ids first; None if nothing has.

    Args:
        found: the things.
        which: the id or name.
        what: the things, in words.

    Raises:
        ConfigurationError: several have that name.
    """
    chosen = [each for each in found if each.id == which] or [each for each in found if each.name == which]
    if len(chosen) > 1:
        msg = f"Several {what} have that name (ids {', '.join(each.id for each in chosen)}). Give the id."
        raise ConfigurationError(msg)
    return chosen[0] if chosen else None


def not_found(found: Iterable[T], which: str, thing: str, command: str, gone: str = "") -> ConfigurationError:
    """Return the error for an id or a name that nothing has.

    Args:
        found: the things that there are.
        which: the id or name.
        thing: one of them, in words.
        command: the command that shows all of them, which is also what they are called there.
        gone: words that follow if there was such a thing.
    """
    near = did_you_mean(which, (each.name for each in found if isinstance(each.name, str)))
    return ConfigurationError(
        f"The ad account has no {thing} with that id or name{gone}.{near} `pinterest-audience {command}` shows all "
        f"{command}."
    )


def _is_an_audience(audience: Audience) -> ConfigurationError:
    """Return the error for an audience in place of its customer list."""
    of = audience.customer_list_id
    what_to_do = f"Give the id of its list: {of}." if of is not None else "It has none: it was made in another way."
    return ConfigurationError(
        f'This is the audience "{audience.name}" (id {audience.id}), and the command needs a customer list. '
        f"{what_to_do}"
    )


def _is_a_list(listed: CustomerList, audiences: Iterable[Audience]) -> ConfigurationError:
    """Return the error for a customer list in place of its audience."""
    of_list = next((each.id for each in audiences if each.customer_list_id == listed.id), None)
    what_to_do = (
        f"It has none yet: create one with `pinterest-audience audiences create --list {listed.id}`."
        if of_list is None
        else f"Give the id of its audience: {of_list}."
    )
    return ConfigurationError(
        f'This is the customer list "{listed.name}" (id {listed.id}), and the command needs an audience. {what_to_do}'
    )
