"""The round trip with the client of openapi-python-client. Its httpx client keeps the refresh cookie."""

import sys

from arkloop_client import AuthenticatedClient, Client
from arkloop_client.api.account import get_me
from arkloop_client.api.registration import register
from arkloop_client.api.sessions import list_sessions
from arkloop_client.api.sign_in import login, logout, refresh
from arkloop_client.models import (
    ApiError,
    Done,
    ErrorCode,
    LoginRequest,
    Registered,
    RegisterRequest,
    SessionList,
    Tokens,
    User,
)

COOKIE = "arkloop_refresh_token"
base = sys.argv[1]
account = RegisterRequest(login="python", email="python@example.org", password="seven purple lanterns")
anyone = Client(base_url=base, raise_on_unexpected_status=True)
jar = anyone.get_httpx_client().cookies

registered = register.sync(client=anyone, body=account)
assert isinstance(registered, Registered), registered

signed_in = login.sync(client=anyone, body=LoginRequest(login=account.login, password=account.password))
assert isinstance(signed_in, Tokens), signed_in


def with_token(tokens: Tokens) -> AuthenticatedClient:
    return AuthenticatedClient(base_url=base, token=tokens.access_token, raise_on_unexpected_status=True)


me = get_me.sync(client=with_token(signed_in))
assert isinstance(me, User), me
assert me.username == account.login
timezone: str | None = me.timezone
assert timezone is None

replaced = jar[COOKIE]
refreshed = refresh.sync(client=anyone)
assert isinstance(refreshed, Tokens), refreshed
assert jar[COOKIE] != replaced

duplicate = register.sync_detailed(client=anyone, body=account)
assert duplicate.status_code == 409
assert isinstance(duplicate.parsed, ApiError)
code: ErrorCode = duplicate.parsed.code
assert code is ErrorCode.AUTH_LOGIN_EXISTS

client = with_token(refreshed)
sessions = list_sessions.sync(client=client)
assert isinstance(sessions, SessionList), sessions
assert [session.current for session in sessions.sessions].count(True) == 1

signed_out = logout.sync(client=client)
assert isinstance(signed_out, Done) and signed_out.ok
refused = get_me.sync(client=client)
assert isinstance(refused, ApiError) and refused.code is ErrorCode.AUTH_INVALID_TOKEN
print("openapi-python-client: the round trip is done")
