// Verifies a token of ES256, and one of EdDSA unless it is empty, with each npm library and the published keys. Those that are named at the end lack
// EdDSA and must refuse it; since the same call verifies ES256, the refusal has no other reason. All refuse a token when a claim was changed.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [modules, base, issuer, es256, eddsa, ...lacking] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const jwksUri = `${base}/.well-known/jwks.json`;
const expected = (algorithm) => ({ audience: "arkloop", issuer, algorithms: [algorithm] });

const libraries = {
  async jose(token, algorithm) {
    const { createRemoteJWKSet, jwtVerify } = await import(require.resolve("jose"));
    return (await jwtVerify(token, createRemoteJWKSet(new URL(jwksUri)), expected(algorithm))).payload;
  },
  jsonwebtoken(token, algorithm) {
    const jwt = require("jsonwebtoken");
    const client = require("jwks-rsa")({ jwksUri });
    const key = async ({ kid }) => (await client.getSigningKey(kid)).getPublicKey();
    return new Promise((resolve, reject) => {
      const choose = (header, done) => key(header).then((found) => done(null, found), done);
      jwt.verify(token, choose, expected(algorithm), (error, claims) => (error ? reject(error) : resolve(claims)));
    });
  },
  async "fast-jwt"(token, algorithm) {
    const { createVerifier } = require("fast-jwt");
    const { keys } = await (await fetch(jwksUri)).json();
    const key = ({ header }) => {
      const found = keys.find(({ kid }) => kid === header.kid);
      return require("node:crypto").createPublicKey({ key: found, format: "jwk" }).export({ type: "spki", format: "pem" });
    };
    const verify = createVerifier({ key: async (head) => key(head), algorithms: [algorithm], allowedAud: "arkloop", allowedIss: issuer });
    return verify(token);
  },
};

function read(token) {
  const [head, body, signature] = token.split(".");
  const claims = JSON.parse(Buffer.from(body, "base64url"));
  const changed = Buffer.from(JSON.stringify({ ...claims, email_verified: !claims.email_verified })).toString("base64url");
  return { subject: claims.sub, changed: [head, changed, signature].join(".") };
}

let wrong = 0;
for (const [name, verify] of Object.entries(libraries)) {
  const { version } = JSON.parse(readFileSync(`${modules}/node_modules/${name}/package.json`));
  for (const [algorithm, token] of Object.entries({ ES256: es256, ...(eddsa && { EdDSA: eddsa }) })) {
    const { subject, changed } = read(token);
    const says = async (token) => (await verify(token, algorithm)).sub === subject;
    const result = await says(token).catch((error) => error.message);
    const isCareless = await says(changed).catch(() => false);
    console.log(`${name} ${version}: ${result === true ? "verifies" : `refuses (${result})`} ${algorithm}`);
    if (isCareless) console.log(`${name} takes a token that was changed`);
    const lacks = algorithm === "EdDSA" && lacking.includes(name);
    wrong += isCareless || (result === true) === lacks;
  }
}
process.exit(wrong);
