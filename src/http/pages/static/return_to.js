// Where a person goes back to after signing in: an app that the operator has listed, and nowhere else.
//
// The server never redirects; this module decides, by the list that the server wrote into the page.
import { written } from "./page.js";

const MOST_CHARACTERS = 2000;
/** Scheme, host and port as they are written; then the path, the query, the fragment or the end. No user, no percent sign, no other script. */
const WRITTEN = /^([a-z][a-z0-9+.-]*:\/\/(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?)(?=[/?#]|$)/i;
/** Characters that URL parsers drop, repair or replace. */
const ODD = /[^!-~]|[\\<>"`^{|}]/;

/** The address in `text` if its origin is one of `origins`, letter for letter; else `null`. */
export function listedAddress(text, origins) {
  if (text.length > MOST_CHARACTERS || ODD.test(text)) return null;
  const origin = WRITTEN.exec(text)?.[1].toLowerCase();
  if (!origin || !origins.includes(origin)) return null;
  // The browser must read the same origin there.
  const url = URL.canParse?.(text) === false ? null : parsed(text);
  if (!url || url.username || url.password) return null;
  return `${url.protocol}//${url.host}`.toLowerCase() === origin ? url.href : null;
}

function parsed(text) {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/** What the query of this page asks for: `{ address, host }`, `{ isRefused: true }`, or `{}` if it asks for nothing. */
export function askedReturn() {
  const asked = new URLSearchParams(location.search).getAll("return_to");
  if (asked.length === 0) return {};
  const address = asked.length === 1 ? listedAddress(asked[0], written("return-to")) : null;
  if (!address) return { isRefused: true };
  const { host, protocol } = new URL(address);
  // A native app is named by its scheme.
  return { address, host: /^https?:$/.test(protocol) ? host : `${protocol}//` };
}

/** Goes to the app. The sign-in page is replaced in the history, so that Back skips it. */
export function goThere({ address }) {
  location.replace(address);
}

/** Has `link` keep what the person came for. */
export function passOn(link) {
  const query = new URLSearchParams(location.search);
  const kept = query.getAll("return_to");
  if (kept.length === 1) link.search = `?${new URLSearchParams({ return_to: kept[0] })}`;
}
