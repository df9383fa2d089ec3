// Verifies a token with each npm library and the published keys. All but those that are named at the end, which lack the algorithm, must verify it; all
// must refuse it when a claim was changed.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [modules, base, issuer, algorithm, token, ...lacking] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const jwksUri = `${base}/.well-known/jwks.json`;
const expected = { audience: "arkloop", issuer, algorithms: [algorithm] };

const libraries = {
  async jose(token) {
    const { createRemoteJWKSet, jwtVerify } = await import(require.resolve("jose"));
    return (await jwtVerify(token, createRemoteJWKSet(new URL(jwksUri)), expected)).payload;
  },
  jsonwebtoken(token) {
    const jwt = require("jsonwebtoken");
    const client = require("jwks-rsa")({ jwksUri });
    const key = async ({ kid }) => (await client.getSigningKey(kid)).getPublicKey();
    return new Promise((resolve, reject) => {
      const choose = (header, done) => key(header).then((found) => done(null, found), done);
      jwt.verify(token, choose, expected, (error, claims) => (error ? reject(error) : resolve(claims)));
    });
  },
  async "fast-jwt"(token) {
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

const [head, body, signature] = token.split(".");
const claims = JSON.parse(Buffer.from(body, "base64url"));
const changed = Buffer.from(JSON.stringify({ ...claims, email_verified: !claims.email_verified })).toString("base64url");
let wrong = 0;
for (const [name, verify] of Object.entries(libraries)) {
  const { version } = JSON.parse(readFileSync(`${modules}/node_modules/${name}/package.json`));
  const says = async (token) => (await verify(token)).sub === claims.sub;
  const result = await says(token).catch((error) => error.message);
  const isCareless = await says([head, changed, signature].join(".")).catch(() => false);
  console.log(`${name} ${version}: ${result === true ? "verifies" : `refuses (${result})`} ${algorithm}`);
  if (isCareless) console.log(`${name} takes a token that was changed`);
  wrong += isCareless || (result === true) === lacking.includes(name);
}
process.exit(wrong);
