"""Owners and accounts that come into being with their first movement. For `evolve` alone: looking changes the state."""

from trading.domain.accounts import Account, user_of_owner
from trading.domain.state import ExchangeState, Owner


def owner_named(state: ExchangeState, name: str) -> Owner:
    owner = state.owners.get(name)
    if owner is None:
        owner = state.owners[name] = Owner(name, user_of_owner(name))
    return owner


def account_of(state: ExchangeState, owner_name: str, asset: str) -> Account:
    owner = state.owners.get(owner_name) or owner_named(state, owner_name)
    account = owner.accounts.get(asset)
    if account is None:
        account = owner.accounts[asset] = Account()
    return account
