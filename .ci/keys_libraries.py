"""Verifies a token with each library of PyPI and the published keys.

All but those that are named at the end, which lack the algorithm, must verify it; all must refuse it when a claim was changed.
"""

import base64
import json
import sys
import urllib.request
from importlib.metadata import version

base, issuer, algorithm, token, *lacking = sys.argv[1:]
JWKS = f"{base}/.well-known/jwks.json"


def published():
    with urllib.request.urlopen(JWKS) as answer:
        return json.load(answer)


def pyjwt(token):
    import jwt

    key = jwt.PyJWKClient(JWKS).get_signing_key_from_jwt(token)
    return jwt.decode(token, key, algorithms=[algorithm], audience="arkloop", issuer=issuer)


def python_jose(token):
    from jose import jwt

    return jwt.decode(token, published(), algorithms=[algorithm], audience="arkloop", issuer=issuer)


def authlib(token):
    from authlib.jose import JsonWebKey, JsonWebToken

    keys = JsonWebKey.import_key_set(published())
    expected = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": "arkloop"}}
    claims = JsonWebToken([algorithm]).decode(token, keys, claims_options=expected)
    claims.validate()
    return claims


def joserfc(token):
    from joserfc import jwt
    from joserfc.jwk import KeySet

    decoded = jwt.decode(token, KeySet.import_key_set(published()), algorithms=[algorithm])
    jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer}, aud={"essential": True, "value": "arkloop"}
    ).validate(decoded.claims)
    return decoded.claims


def jwcrypto(token):
    from jwcrypto import jwk, jwt

    keys = jwk.JWKSet.from_json(json.dumps(published()))
    verified = jwt.JWT(jwt=token, key=keys, algs=[algorithm], check_claims={"iss": issuer, "aud": "arkloop", "exp": None})
    return json.loads(verified.claims)


def outcome(verify, token, subject):
    """True, or why the token is refused."""
    try:
        return verify(token)["sub"] == subject
    except Exception as error:  # Each library has its own.
        return f"{type(error).__name__}: {error}"


def decode(part):
    return json.loads(base64.urlsafe_b64decode(part + "=="))


head, body, signature = token.split(".")
claims = decode(body)
changed = {**claims, "email_verified": not claims["email_verified"]}
body = base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()
wrong = 0
for verify in (pyjwt, python_jose, authlib, joserfc, jwcrypto):
    name = verify.__name__.replace("_", "-")
    result = outcome(verify, token, claims["sub"])
    is_careless = outcome(verify, f"{head}.{body}.{signature}", claims["sub"]) is True
    says = "verifies" if result is True else f"refuses ({result})"
    print(f"{name} {version(name)}: {says} {algorithm}")
    if is_careless:
        print(f"{name} takes a token that was changed")
    wrong += is_careless or (result is True) == (name in lacking)
sys.exit(wrong)
