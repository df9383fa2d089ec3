// Asks the function that decides where a person goes back to after a sign-in about hostile and good values, without a browser.
//
// Usage: node return_to.mjs
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { GOOD, LISTED, hostile } from "./return_values.mjs";

const APP = "http://localhost:5173";
const origins = [APP, ...LISTED];

const source = readFileSync(new URL("../src/http/pages/static/return_to.js", import.meta.url), "utf8");
// The module that it imports needs a document.
const alone = source.replace('import { written } from "./page.js";', "const written = () => globalThis.origins;");
assert.notEqual(alone, source);
const { askedReturn, listedAddress } = await import(`data:text/javascript,${encodeURIComponent(alone)}`);

globalThis.origins = origins;
const asked = (...values) => {
  globalThis.location = { search: `?${new URLSearchParams(values.map((value) => ["return_to", value]))}` };
  return askedReturn();
};

for (const value of hostile(APP)) {
  assert.equal(listedAddress(value, origins), null, value);
  assert.deepEqual(asked(value), { isRefused: true }, value);
  // One of two values may be read by one program and the other by another.
  assert.deepEqual(asked(APP, value), { isRefused: true }, value);
  assert.deepEqual(asked(value, APP), { isRefused: true }, value);
}
for (const value of [...GOOD, `${APP}/back?x=1#y`]) assert.equal(asked(value).address, new URL(value).href, value);
assert.deepEqual(asked(), {});

// Any character at any place of a good address: it is refused, or still leads to the app.
const good = "https://app.example.org/x";
let taken = 0;
for (let place = 0; place <= good.length; place++) {
  for (let character = 0; character < 0x3000; character++) {
    for (const rest of [good.slice(place), good.slice(place + 1)]) {
      const value = good.slice(0, place) + String.fromCharCode(character) + rest;
      const address = listedAddress(value, origins);
      if (address === null) continue;
      taken++;
      const { origin, username, password } = new URL(address);
      assert.equal(origin + username + password, "https://app.example.org", JSON.stringify(value));
    }
  }
}
assert.ok(taken > 100, `${taken} of the changed addresses were taken`);
console.log(`return_to: ${hostile(APP).length} hostile values go nowhere, of the changed addresses ${taken} lead to the app`);
