"""A client of OAuth's endpoints that we did not write: Authlib's."""

from typing import Any

from authlib.integrations.requests_client import OAuth2Session


class OAuthClient:
    """Introspects and revokes as a resource server does, with a key for its access token."""

    def __init__(self, server: str, token: str) -> None:
        self._server, self._token = server, token

    def introspect(self, token: str, **options: Any) -> Any:
        with self._session() as session:
            url = f"{self._server}/api/v1/introspect"
            return session.introspect_token(url, token, auth=session.token_auth, **options)

    def revoke(self, token: str, **options: Any) -> Any:
        with self._session() as session:
            return session.revoke_token(f"{self._server}/api/v1/revoke", token, **options)

    def _session(self) -> OAuth2Session:
        # One for each call: the server keeps a thread, and that one a connection to the database, for as
        # long as we stay.
        return OAuth2Session(token={"access_token": self._token, "token_type": "Bearer"})
