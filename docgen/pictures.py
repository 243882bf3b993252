"""The pictures of the pages, except for the recording of the demo: file → picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from docgen.drawing import Drawing


def _overview() -> Drawing:
    drawing = Drawing(
        664,
        296,
        "A tap reads your table and pipes its rows into the target, which remembers them in the ledger and sends what "
        "changed to a customer list at Pinterest. An audience is built on the list, and campaigns target the audience.",
    )
    drawing.frame(12, 12, 640, 120, "On your machine")
    drawing.frame(172, 164, 480, 120, "At Pinterest")
    size = (136, 64)
    drawing.box((24, 50), size, ["table", "one row per person"])
    drawing.box((184, 50), size, ["tap", "rows as JSON"])
    drawing.box((344, 50), size, ["target", "hashes, compares"], "ours")
    drawing.box((504, 50), size, ["ledger", "what each row said"], "ours")
    drawing.box((184, 202), size, ["customer list", "the members"])
    drawing.box((344, 202), size, ["audience", "of that list"])
    drawing.box((504, 202), size, ["campaign", "targets it"])
    drawing.arrow((160, 82), (184, 82))
    drawing.arrow((320, 82), (344, 82))
    drawing.arrow((480, 82), (504, 82), both=True)
    drawing.arrow((412, 114), (412, 148), (292, 148), (292, 202))
    drawing.arrow((320, 234), (344, 234))
    drawing.arrow((480, 234), (504, 234))
    drawing.text(92, 222, "only digests,")
    drawing.text(92, 240, "only what changed")
    return drawing


def _replication() -> Drawing:
    drawing = Drawing(
        664,
        352,
        "If the tap can read the database's log, use LOG_BASED. If not, and the table keeps deleted rows with a mark "
        "and a time of change, use INCREMENTAL with removal_column. Otherwise use FULL_TABLE with overwrite and prune.",
    )
    question, answer = (264, 76), (320, 76)
    drawing.box((20, 20), question, ["Can the tap read", "the log of the database?"])
    drawing.box((20, 138), question, ["Do deleted rows stay,", "with a mark and a time of change?"])
    drawing.box(
        (324, 20),
        answer,
        ["`LOG_BASED`", "adds and removes at once, also by", "deletes that hold only the key"],
        "ours",
    )
    drawing.box((324, 138), answer, ["`INCREMENTAL`", "with `removal_column`: rows with a", "mark are removed"], "ours")
    drawing.box(
        (324, 256),
        answer,
        ["`FULL_TABLE`", "with `load_method: overwrite`, then", "`prune`: missing rows are removed"],
        "ours",
    )
    drawing.arrow((284, 58), (324, 58))
    drawing.text(302, 46, "yes")
    drawing.arrow((152, 96), (152, 138))
    drawing.text(172, 122, "no")
    drawing.arrow((284, 176), (324, 176))
    drawing.text(302, 164, "yes")
    drawing.arrow((152, 214), (152, 294), (324, 294))
    drawing.text(172, 240, "no")
    return drawing


def _membership() -> Drawing:
    drawing = Drawing(
        664,
        316,
        "Ada is contributed by two rows and is on the list; she stays when one of them is deleted. Bob is contributed "
        "by one row and refused by another, and is not on the list. Cyd is contributed by no row, and is not either.",
    )
    cases = (
        (
            "Ada",
            ("customers, id 1", "contributes", "box"),
            ("leads, id 7", "contributes", "box"),
            True,
            "stays if one row goes",
        ),
        (
            "Bob",
            ("customers, id 2", "contributes", "box"),
            ("no consent: leads, id 8", "refuses", "bad"),
            False,
            "one refusal is enough",
        ),
        ("Cyd", ("customers, id 3", "deleted", "box"), None, False, "no row contributes"),
    )
    for at, (name, first, second, on_list, why) in enumerate(cases):
        y = 20 + at * 100
        drawing.text(24, y + 44, name, anchor="start", kind="name")
        for x, row in ((70, first), (252, second)):
            if row is not None:
                drawing.box((x, y), (166, 76), [row[1], row[0]], row[2])
        drawing.text(244, y + 44, "+" if second else "")
        drawing.arrow((426 if second else 244, y + 38), (466, y + 38))
        drawing.box(
            (466, y), (178, 76), ["on the list" if on_list else "not on the list", why], "good" if on_list else "bad"
        )
    return drawing


def _state() -> Drawing:
    drawing = Drawing(
        664,
        218,
        "The ledger notes what will be sent; the request goes to Pinterest; Pinterest accepts it, and the note is "
        "deleted; then the STATE is written. If the run is killed before, there is none: the next run sends the rest.",
    )
    steps = (
        ("1. note", "the ledger notes", "what will be sent", "ours"),
        ("2. request", "a batch goes", "to Pinterest", "box"),
        ("3. accepted", "Pinterest says yes,", "the note is deleted", "good"),
        ("4. STATE", "the next run", "continues here", "ours"),
    )
    for at, (name, first, second, kind) in enumerate(steps):
        drawing.box((20 + at * 160, 20), (144, 84), [name, first, second], kind)
        if at:
            drawing.arrow((4 + at * 160, 62), (20 + at * 160, 62))
    drawing.box(
        (20, 130),
        (464, 68),
        [
            "killed, stopped or refused here?",
            "No STATE: the tap reads these rows again,",
            "and the next run sends what is still noted",
        ],
        "bad",
    )
    drawing.box((500, 130), (144, 68), ["or here?", "Pinterest has", "all of it"], "good")
    return drawing


def _sign_in() -> Drawing:
    drawing = Drawing(
        664,
        372,
        "The app id and the app secret key are on the page of your app under My apps at developers.pinterest.com; the "
        "redirect URI http://localhost:8085/ is entered there. The ad account id is in the address of Ads Manager, and "
        "below the name of the ad account.",
    )
    drawing.frame(12, 12, 392, 200, "developers.pinterest.com: My apps, your app")
    drawing.frame(12, 228, 392, 132, "ads.pinterest.com")
    rows = (
        (46, ["App ID", "a number"], "client_id"),
        (102, ["App secret key", "shown once the app is approved"], "client_secret"),
        (158, ["Redirect URIs", "`http://localhost:8085/`"], ""),
        (262, ["in the address", "`ads.pinterest.com/advertiser/549755885175/`"], "ad_account_id"),
    )
    for y, lines, setting in rows:
        drawing.box((24, y), (368, 46), lines)
        if setting:
            drawing.box((484, y), (160, 46), [f"`{setting}`"], "ours")
            drawing.arrow((392, y + 23), (484, y + 23))
    drawing.box((484, 158), (160, 46), ["you add this one", "exactly so"], "ours")
    drawing.arrow((484, 181), (392, 181))
    drawing.text(208, 336, "also below the ad account's name, where you choose it")
    return drawing


PICTURES: Final[Mapping[str, Callable[[], Drawing]]] = {
    "membership.svg": _membership,
    "overview.svg": _overview,
    "replication.svg": _replication,
    "sign-in.svg": _sign_in,
    "state.svg": _state,
}
