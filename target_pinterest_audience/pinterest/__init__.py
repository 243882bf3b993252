"""The part of Pinterest's API v5 that customer lists need."""

from __future__ import annotations

from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.credentials import Credentials, SignIn
from target_pinterest_audience.pinterest.models import AdAccount, Audience, CustomerList, Operation
from target_pinterest_audience.pinterest.patience import Patience
from target_pinterest_audience.pinterest.token_store import CredentialsFile, Homeless, TokenStore
from target_pinterest_audience.pinterest.transport import Answer, Traffic, Transport

__all__ = [
    "AdAccount",
    "Answer",
    "Audience",
    "Credentials",
    "CredentialsFile",
    "CustomerList",
    "Homeless",
    "Operation",
    "Patience",
    "PinterestClient",
    "SignIn",
    "TokenStore",
    "Traffic",
    "Transport",
]
