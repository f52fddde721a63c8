"""The tables of keys, of their use, and of the keys of others."""

from keys.models.counts import DayCount, HourCount, KeyActivity, ScopeUse, SourceUse, StrayCount
from keys.models.keys import IssueNonce, Key
from keys.models.providers import ProviderKey, Upstream

__all__ = [
    "DayCount",
    "HourCount",
    "IssueNonce",
    "Key",
    "KeyActivity",
    "ProviderKey",
    "ScopeUse",
    "SourceUse",
    "StrayCount",
    "Upstream",
]
