// The token of a mailed link. It is removed from the address bar at once, and survives a reload of its tab, but nothing else.
//
// The storage of a tab is copied when the tab is duplicated or restored, and every script of this origin can read it. So only a load that the browser
// itself calls a reload gets the token back; every other load, and every other page, removes it.
const PREFIX = "link ";
const STORED = PREFIX + location.pathname;

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
  if (link) inTab((tab) => tab.setItem(STORED, JSON.stringify(link)));
  else if (isReload()) link = kept(kinds);
  else forgetLink();
  if (link) addEventListener("pageshow", leaveKeptPage);
  return link;
}

/** A page that the browser kept in memory, token and all, and shows again after Back: that is another visit. */
function leaveKeptPage({ persisted }) {
  if (!persisted) return;
  forgetLink();
  location.reload();
}

/** Deletes the token, which was used or does not work. */
export function forgetLink() {
  inTab((tab) => tab.removeItem(STORED));
}

/** Drops the tokens of other pages: this one may run scripts of another host. */
export function forgetOtherLinks() {
  const isOther = (key) => key.startsWith(PREFIX) && key !== STORED;
  inTab((tab) => Object.keys(tab).filter(isOther).forEach((key) => tab.removeItem(key)));
}

function isReload() {
  return performance.getEntriesByType("navigation")[0]?.type === "reload";
}

function kept(kinds) {
  const link = inTab((tab) => JSON.parse(tab.getItem(STORED)));
  return kinds.includes(link?.kind) && typeof link.token === "string" ? link : undefined;
}

/** What `task` makes of the storage of the tab; nothing where the browser keeps none. */
function inTab(task) {
  try {
    return task(sessionStorage);
  } catch {
    // Then a reload asks for the mail once more.
  }
}
