// The token of a mailed link: it leaves the address bar at once, outlives a reload of its tab, and nothing else.
//
// It is kept in the storage of the tab, which a browser copies when a tab is duplicated or restored and which a later visit could read. So only a load
// that the browser itself calls a reload gets it back; every other one without a link removes it.
const STORED = `link ${location.pathname}`;

/** The link of this visit: which of `kinds` it is (`token`, `change`, `undo`) and its token; `undefined` without one. */
export function takeLink(kinds) {
  const query = new URLSearchParams(location.search);
  const places = [new URLSearchParams(location.hash.slice(1)), query];
  let link;
  for (const kind of kinds) {
    const token = places.map((place) => place.get(kind)).find(Boolean);
    link ??= token && { kind, token };
    query.delete(kind);
  }
  if (link || location.hash) history.replaceState(null, "", location.pathname + (query.size ? `?${query}` : ""));
  if (link) keep(JSON.stringify(link));
  else if (isReload()) link = kept(kinds);
  else forgetLink();
  return link;
}

/** Drops the token: it was used, or it is good for nothing. */
export function forgetLink() {
  try {
    sessionStorage.removeItem(STORED);
  } catch {
    // Nothing was kept.
  }
}

function isReload() {
  return performance.getEntriesByType("navigation")[0]?.type === "reload";
}

function keep(text) {
  try {
    sessionStorage.setItem(STORED, text);
  } catch {
    // Then a reload asks for the mail once more.
  }
}

function kept(kinds) {
  try {
    const link = JSON.parse(sessionStorage.getItem(STORED));
    return link && kinds.includes(link.kind) && typeof link.token === "string" ? link : undefined;
  } catch {
    return undefined;
  }
}
