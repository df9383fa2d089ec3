/** The types of arkloop.js. */

/** A refusal, by the server or by the client itself. */
export class AuthError extends Error {
  constructor(
    status: number,
    body?: { code?: string; message?: string; details?: Record<string, unknown>; trace_id?: string },
    retryAfter?: number,
  );
  readonly name: "AuthError";
  /** The HTTP status; 0 without an answer. */
  readonly status: number;
  /**
   * A code of the API (the list in `/openapi.json` may grow), or one of the client: `client.unreachable` (no answer, or
   * none of this server), `client.signed_out`, `client.user_changed` (another account has signed in in this browser).
   */
  readonly code: "client.unreachable" | "client.signed_out" | "client.user_changed" | (string & {});
  /** Of `validation.error`: `fields`, with a code for each bad field. */
  readonly details: { fields?: Record<string, { code: string; message: string; min?: number; max?: number }>; [name: string]: unknown };
  /** Under this id the server's log tells more. */
  readonly traceId: string | undefined;
  /** Seconds to wait before the next try. */
  readonly retryAfter: number | undefined;
}

/** What signing in answers. */
export interface SignedIn {
  access_token: string;
  token_type: "bearer";
}

/** What registering answers. */
export interface Registered extends SignedIn {
  user_id: string;
  /** Such as that no verification mail was sent. */
  warning: string | null;
}

/** The methods of the API. */
export type Method = "GET" | "POST" | "PATCH" | "DELETE";

/** A browser's sign-in to one server. Its event `change` says that `userId` has changed, in whichever tab it began. */
export class AuthClient extends EventTarget {
  /** @param url The server; by default where this module came from. */
  constructor(url?: string | URL);
  /** The id of the account; `null` when signed out, `undefined` before the server was asked. */
  get userId(): string | null | undefined;
  /** Continues the session whose cookie the browser has; gives whether there is one. While signed out, each call asks the server. */
  resume(): Promise<boolean>;
  signIn(fields: { login: string; password: string; cf_turnstile_token?: string }): Promise<SignedIn>;
  signInByCode(fields: { email: string; otp: string }): Promise<SignedIn>;
  register(fields: {
    login: string;
    password: string;
    email: string;
    invite_code?: string;
    locale?: string;
    cf_turnstile_token?: string;
  }): Promise<Registered>;
  /** Signs out in all tabs. Without an answer of the server, or of a tab that keeps the lock, this throws and all tabs stay signed in. */
  signOut(): Promise<void>;
  /** Deletes the account and signs out in all tabs. It takes the password or, for an account without one, a sign-in of the last ten minutes. */
  deleteAccount(fields?: { current_password?: string }): Promise<void>;
  /** An access token that has not expired. */
  accessToken(): Promise<string>;
  /** `fetch` with the access token, for any service that takes it: after a 401 once more with a new one. */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /**
   * Sends a request to the API with the access token; gives the body of the answer, `null` if it has none. A `path` without a
   * slash at its beginning is a `TypeError`.
   */
  request<Body = unknown>(method: Method, path: string, body?: unknown): Promise<Body>;
  /** The same without a token, for operations that take none. */
  requestPublic<Body = unknown>(method: Method, path: string, body?: unknown): Promise<Body>;
}
