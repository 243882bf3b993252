"""Phone numbers: how they are normalised, and which ones are possible. Pure.

Pinterest states no rule for phone numbers of customer lists. Its only one is for the field `ph` of the Conversions API:
digits with country code, area code and number, without symbols, letters, blanks and leading zeros (API description
5.28). Whether customer lists follow it is not confirmed.

International numbers, `+...` or `00...`, need no library, so they have the same digests on every installation. National
ones need the numbering plans of the library `phonenumbers`, which the extra `phone` installs.
"""

from __future__ import annotations

import re
import unicodedata
from types import ModuleType
from typing import Any, Final

from target_pinterest_audience.identities.remarks import Remark

UNKNOWN_COUNTRY: Final = "?"
"""Stands for the country of a row whose country column holds something else than a code of two letters."""

_CODES: Final = """
AC AD AE AF AG AI AL AM AO AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT
BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER
ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GT GU GW GY HK HN HR HT HU ID IE
IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV
LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP
NR NU NZ OM PA PE PF PG PH PK PL PM PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK
SL SM SN SO SR SS ST SV SX SY SZ TA TC TD TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG US UY UZ VA
VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
"""
COUNTRIES: Final = frozenset(_CODES.split())
"""The ISO 3166 codes of the countries whose national numbers the library can read."""

_TWO_DIGITS: Final = r"2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
_THREE_DIGITS: Final = (
    r"21[12368]|22\d|23\d|24\d|25[0-8]|26\d|29[01789]|35\d|37[0-8]|38[0-35-79]|42[013]|50\d|59\d|67[02-9]|68[0-35-9]"
    r"|69[0-2]|800|808|85[02356]|870|878|88[0-368]|96[0-8]|97[0-79]|99[2-68]"
)
_country_code: Final = re.compile(rf"(?:1|7|{_TWO_DIGITS}|{_THREE_DIGITS})").match
"""Matches the country code at the beginning of a number (ITU-T E.164). No code is the beginning of another one."""

_TEN_DIGITS: Final = frozenset({"1", "7"})
"""The country codes whose numbers have ten digits each."""
_KEEPS_ZERO: Final = frozenset({"39", "225", "226", "227", "229", "241", "242", "247", "378", "992"})
"""The country codes after which a zero can belong to the number. After others, it is the prefix of national calls."""
_FEWEST_DIGITS: Final = {1: 8, 2: 8, 3: 7}
"""Digits of the country code → the fewest digits of a number, the country code included."""
MOST_DIGITS: Final = 15
"""The most digits of a number, the country code included (ITU-T E.164)."""
_LONGEST_TEXT: Final = 64

_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc-"
_BETWEEN: Final = f"./\u00b7\u2022{_DASHES}"
_SEPARATORS: Final = str.maketrans("", "", f" \t()[]{_BETWEEN}")
_extension: Final = re.compile(
    r"(?:;ext=|,* *\b(?:extension|extn?|\u0434\u043e\u0431|anexo|int)\b\.?:?|(?<=[\d )])x\.?|#) *\d{1,7}$"
).search

_written_number: Final = re.compile(rf"[(\[]?\+?[(\[]?[0-9](?:[)\]]?[{_BETWEEN}]?[(\[]?[0-9])*[)\]]?").fullmatch
"""Matches a number without its blanks. What separates two digits is one sign and brackets, and nothing else."""
_MOST_BEFORE_BRACKETS: Final = 7
"""A code in brackets may follow a country code and the digits that call abroad (`011 593 (2) ...`). Brackets after more
digits hold an extension, or the end of another number."""
_MOST_IN_AREA_CODE: Final = 5
_pairs_of_digits: Final = re.compile(r"[0-9]{2,4}(?:/[0-9]{2}){3,}").fullmatch
"""Matches `06/12/34/56/78`: the only numbers with several slashes."""

_BYTE: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_YEAR: Final = r"(?:19|20)[0-9]{2}"
_MONTH: Final = r"(?:0?[1-9]|1[0-2])"
_DAY: Final = r"(?:0?[1-9]|[12][0-9]|3[01])"
_something_else: Final = re.compile(
    rf"(?:{_BYTE}\.){{3}}{_BYTE}$"  # an IP address
    r"|\+?[0-9]{7,}\.[0-9]{1,2}$"  # a decimal number: a table of numbers was read as floating-point ones
    rf"|{_YEAR}([-./]) ?{_DAY}\1 ?{_DAY}(?![0-9./-])|{_DAY}([-./]) ?{_DAY}\2 ?(?:{_YEAR}(?![0-9./-])|[0-9]{{2}}$)"
    rf"|{_MONTH}[-./]{_YEAR}$"
).match
"""Matches texts that hold nothing but digits and separators, and are no numbers to call: IP addresses, decimal numbers
and dates, also before a time."""
_DOTTED_PAIRS: Final = frozenset({"NC"})
"""The countries that write numbers of six digits as others write dates: 20.12.34."""
_three_pairs: Final = re.compile(r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}").fullmatch

_SEP: Final = "[ -]?"
PLAIN_PHONE: Final = (
    r"\+(?:"
    rf"1[2-9][0-9]{{9}}|7[1-9][0-9]{{9}}|(?:{_TWO_DIGITS})[1-9][0-9]{{5,12}}"
    rf"|(?:{_THREE_DIGITS})[1-9][0-9]{{3,11}}".replace(r"\d", "[0-9]")
    + r"|"
    + rf"1{_SEP}[2-9](?:{_SEP}[0-9]){{9}}|7{_SEP}[1-9](?:{_SEP}[0-9]){{9}}"
    rf"|(?:{_TWO_DIGITS}){_SEP}[1-9](?:{_SEP}[0-9]){{5,12}}"
    rf"|(?:{_THREE_DIGITS}){_SEP}[1-9](?:{_SEP}[0-9]){{3,11}}".replace(r"\d", "[0-9]")
    + ")"
)
"""The pattern of ordinary international numbers in ASCII that get no remark. Those with a dot or a slash are not among
them: these can also separate two numbers, or a decimal fraction."""
PLAIN_SEPARATORS: Final = b"+ -"
"""What stands between the digits of such a number."""


def read_phone(value: str, country: str | None = None) -> str | Remark:
    """Return a phone number in the form that is hashed: its digits, the country code first; or what is wrong with it.

    Args:
        value: the number, trimmed.
        country: where a national number is to be called, as an ISO 3166 code; None if that is not known.
    """
    text = _tidy(value)
    digits = _digits_of(text, country) if text is not None else ""
    if digits.startswith("+"):
        return _international(digits[1:])
    if digits.startswith("00"):
        return _international(digits[2:])
    if not digits.strip("0"):
        return Remark.NOT_A_PHONE
    if country is None:
        return Remark.PHONE_WITHOUT_COUNTRY
    return _national(digits, country) if country != UNKNOWN_COUNTRY else Remark.UNKNOWN_PHONE_COUNTRY


def shows_a_phone(value: str) -> bool:
    """Return whether a text, trimmed, is an international number for a reader, however it is written.

    Without the sign it could be any other number: such texts are no values of phone columns.
    """
    text = _tidy(value) if value.startswith(("+", "\uff0b")) else None
    return text is not None and isinstance(_international(text.translate(_SEPARATORS)[1:]), str)


def writings_of(value: str) -> frozenset[str]:
    """Return the forms in which others may hash an international number: with and without the sign before it.

    Args:
        value: its digits.
    """
    return frozenset({value, f"+{value}", f"00{value}"})


def can_read_national_numbers() -> bool:
    """Return whether the library is installed."""
    return _library() is not None


def _tidy(value: str) -> str | None:
    """Return a number in ASCII, without what a URI or an extension adds; None if it cannot be one."""
    if len(value) > _LONGEST_TEXT:
        return None
    if not value.isascii():
        if any(unicodedata.category(each) == "No" for each in value):
            # A small digit refers to a footnote, and must not become one of the number's own.
            return None
        value = "".join(each if (digit := unicodedata.decimal(each, None)) is None else str(digit) for each in value)
        value = unicodedata.normalize("NFKC", value).translate(_INVISIBLE)
    value = value.lower().removeprefix("tel:").strip()
    found = _extension(value)
    return value[: found.start()].rstrip() if found else value


def _digits_of(text: str, country: str | None) -> str:
    """Return the digits of a tidy text, with a + before them if it has one; nothing if it is not one written number.

    Args:
        text: the text.
        country: where the number is to be called, if that is known.
    """
    compact = text.replace(" ", "").replace("\t", "")
    if compact.removeprefix("+").isdigit():
        return compact
    is_something_else = _something_else(text) is not None
    if is_something_else and country in _DOTTED_PAIRS:
        is_something_else = _three_pairs(text) is None
    if is_something_else or _written_number(compact) is None:
        return ""
    return compact.translate(_SEPARATORS) if _is_one_number(compact) else ""


def _is_one_number(compact: str) -> bool:
    """Return whether brackets and slashes are where one number has them. A wrong number is somebody else's.

    Args:
        compact: the number as it is written, without blanks.
    """
    opening = max(compact.rfind("("), compact.rfind("["))
    if opening > _MOST_BEFORE_BRACKETS and len(compact[:opening].translate(_SEPARATORS)) > _MOST_BEFORE_BRACKETS:
        return False
    area, slash, rest = compact.partition("/")
    if not slash:
        return True
    if "/" in rest:
        return _pairs_of_digits(compact) is not None
    # People write `030/12345684` or `030 / 12345684` as one number, and `030 12345684/85` as two.
    return _is_area_code(area.translate(_SEPARATORS))


def _is_area_code(digits: str) -> bool:
    """Return whether the beginning of a number is so short that it is an area code, with all that stands before it."""
    if digits.startswith(("+", "00")):
        digits = digits.removeprefix("+").removeprefix("00")
        found = _country_code(digits)
        digits = digits[found.end() :] if found is not None else digits
    return len(digits.removeprefix("0")) <= _MOST_IN_AREA_CODE


_INVISIBLE: Final = dict.fromkeys((0x00AD, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, 0xFEFF))
"""Characters without a width, as they come with text that was copied from documents."""


def _international(digits: str) -> str | Remark:
    """Return the digits of an international number, given without its sign; or what is wrong with it."""
    if not (digits.isascii() and digits.isdigit()):
        return Remark.NOT_A_PHONE
    found = _country_code(digits)
    if found is None:
        return Remark.NOT_A_COUNTRY_CODE
    code = found[0]
    number = digits[len(code) :]
    if number.startswith("0") and code not in _KEEPS_ZERO:
        number = number[1:]
        if number.startswith("0"):
            return Remark.IMPOSSIBLE_PHONE
    size = len(code) + len(number)
    if code in _TEN_DIGITS:
        # In North America, area codes begin with 2 to 9.
        possible = len(number) == 10 and not (code == "1" and number[0] == "1")  # noqa: PLR2004 - see `_TEN_DIGITS`
    else:
        possible = _FEWEST_DIGITS[len(code)] <= size <= MOST_DIGITS
    return code + number if possible else Remark.IMPOSSIBLE_PHONE


def _national(digits: str, country: str) -> str | Remark:
    """Return the digits of a national number, given as digits, the country code first; or what is wrong with it."""
    library = _library()
    if library is None:
        return Remark.PHONE_NEEDS_EXTRA
    try:
        parsed = _with_country_code(library, digits, country) or library.parse(digits, country)
    except library.NumberParseException:
        return Remark.NOT_A_PHONE
    # A number without its area code is not possible: only people in the same place can call it.
    if library.is_possible_number_with_reason(parsed) != library.ValidationResult.IS_POSSIBLE:
        return Remark.IMPOSSIBLE_PHONE
    return _international(library.format_number(parsed, library.PhoneNumberFormat.E164)[1:])


def _with_country_code(library: ModuleType, digits: str, country: str) -> Any:  # noqa: ANN401 - the library's type
    """Return a number that begins with the country code but has no sign before it; None if it is not one.

    Many systems write numbers like that. The library takes them for national ones, if these could be so long.

    Raises:
        NumberParseException: it is not a number.
    """
    if not digits.startswith(str(library.country_code_for_region(country))):
        return None
    international, national = library.parse(f"+{digits}", None), library.parse(digits, country)
    # Where national numbers begin with a zero, one without it is not national.
    has_prefix = library.ndd_prefix_for_region(country, True) == "0"  # noqa: FBT003 - the library's own signature
    is_national = library.is_valid_number(national) and not has_prefix
    return international if library.is_valid_number(international) and not is_national else None


def _library() -> ModuleType | None:
    try:
        import phonenumbers  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        return None
    return phonenumbers
