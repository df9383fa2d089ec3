"""Verifies tokens with PyJWT and the published keys, as another service would: the first two of the old key, the last of the new one."""

import sys

import jwt

base, issuer, before, early, after = sys.argv[1:]
published = jwt.PyJWKClient(f"{base}/.well-known/jwks.json")
# The server of this test is eleven minutes ahead of the clock that PyJWT reads.
LEEWAY_S = 12 * 60


def verified(token):
    """Checks a token's signature and claims; the id of the key that signed it."""
    key = published.get_signing_key_from_jwt(token)
    claims = jwt.decode(
        token,
        key,
        algorithms=["ES256"],
        audience="arkloop",
        issuer=issuer,
        leeway=LEEWAY_S,
        options={"require": ["exp", "iat", "iss", "aud", "sub"]},
    )
    print(f"{key.key_id}: a token for {claims['sub']} is good")
    return key.key_id


signers = [verified(token) for token in (before, early, after)]
sys.exit(0 if signers[0] == signers[1] != signers[2] else f"signed by {signers}")
