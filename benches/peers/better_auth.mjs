// better-auth on Node's own HTTP server with better-sqlite3: node better_auth.mjs PORT DATABASE scrypt|node-rs|node-argon2
//
// With its defaults, except that its rate limits are off, because all requests come from one address. `scrypt` is its own hash; the two others are
// argon2id at the cost of arkloop, computed by the npm packages @node-rs/argon2 and argon2, which have the same interface.
import { createServer } from "node:http";

import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import Database from "better-sqlite3";

const [port, file, hash] = process.argv.slice(2);
const packages = { "node-rs": "@node-rs/argon2", "node-argon2": "argon2" };
const cost = { memoryCost: 19456, timeCost: 2, parallelism: 1 };

let password;
if (packages[hash]) {
  const module = await import(packages[hash]);
  const argon2 = module.default ?? module;
  password = {
    hash: (text) => argon2.hash(text, cost),
    verify: ({ hash, password }) => argon2.verify(hash, password),
  };
}

const database = new Database(file);
database.pragma("journal_mode = WAL");
const options = {
  baseURL: `http://127.0.0.1:${port}`,
  secret: "for measurements, and for nothing else",
  database,
  emailAndPassword: { enabled: true, password },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
};
await (await getMigrations(options)).runMigrations();
const server = createServer(toNodeHandler(betterAuth(options)));
// A connection waits until all accounts are registered; after the default of 5 s without a request Node would close it.
server.keepAliveTimeout = 600_000;
server.listen(Number(port), "127.0.0.1");
