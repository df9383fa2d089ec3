"""Verifies a token of ES256, and one of EdDSA unless it is empty, with each library of PyPI and the published keys.

Those that are named at the end lack EdDSA and must refuse it; since the same call verifies ES256, the refusal has no other reason. All refuse a
token when a claim was changed.
"""

import base64
import json
import sys
import urllib.request
from importlib.metadata import version

base, issuer, es256, eddsa, *lacking = sys.argv[1:]
JWKS = f"{base}/.well-known/jwks.json"


def published():
    with urllib.request.urlopen(JWKS) as answer:
        return json.load(answer)


def pyjwt(token, algorithm):
    import jwt

    key = jwt.PyJWKClient(JWKS).get_signing_key_from_jwt(token)
    return jwt.decode(token, key, algorithms=[algorithm], audience="arkloop", issuer=issuer)


def python_jose(token, algorithm):
    from jose import jwt

    # Given all keys, it ignores `kid` and fails at one of another algorithm.
    kid = jwt.get_unverified_header(token)["kid"]
    key = next(key for key in published()["keys"] if key["kid"] == kid)
    return jwt.decode(token, key, algorithms=[algorithm], audience="arkloop", issuer=issuer)


def authlib(token, algorithm):
    from authlib.jose import JsonWebKey, JsonWebToken

    keys = JsonWebKey.import_key_set(published())
    expected = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": "arkloop"}}
    claims = JsonWebToken([algorithm]).decode(token, keys, claims_options=expected)
    claims.validate()
    return claims


def joserfc(token, algorithm):
    from joserfc import jwt
    from joserfc.jwk import KeySet

    decoded = jwt.decode(token, KeySet.import_key_set(published()), algorithms=[algorithm])
    jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer}, aud={"essential": True, "value": "arkloop"}
    ).validate(decoded.claims)
    return decoded.claims


def jwcrypto(token, algorithm):
    from jwcrypto import jwk, jwt

    keys = jwk.JWKSet.from_json(json.dumps(published()))
    verified = jwt.JWT(jwt=token, key=keys, algs=[algorithm], check_claims={"iss": issuer, "aud": "arkloop", "exp": None})
    return json.loads(verified.claims)


def outcome(verify, token, algorithm, subject):
    """True, or why the token is refused."""
    try:
        return verify(token, algorithm)["sub"] == subject
    except Exception as error:  # Each library has its own.
        return f"{type(error).__name__}: {error}"


def decode(part):
    return json.loads(base64.urlsafe_b64decode(part + "=="))


def is_wrong(verify, algorithm, token):
    """Says what a library does with a token; whether it should do otherwise."""
    name = verify.__name__.replace("_", "-")
    head, body, signature = token.split(".")
    claims = decode(body)
    changed = {**claims, "email_verified": not claims["email_verified"]}
    body = base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()
    result = outcome(verify, token, algorithm, claims["sub"])
    is_careless = outcome(verify, f"{head}.{body}.{signature}", algorithm, claims["sub"]) is True
    says = "verifies" if result is True else f"refuses ({result})"
    print(f"{name} {version(name)}: {says} {algorithm}")
    if is_careless:
        print(f"{name} takes a token that was changed")
    return is_careless or (result is True) == (algorithm == "EdDSA" and name in lacking)


wrong = 0
for verify in (pyjwt, python_jose, authlib, joserfc, jwcrypto):
    wrong += is_wrong(verify, "ES256", es256)
    if eddsa:
        wrong += is_wrong(verify, "EdDSA", eddsa)
sys.exit(wrong)
