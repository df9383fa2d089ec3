import { base, fetchWithCookie } from './app';

/** What orval's operations call: status, body and headers of the answer, which the types of orval tell apart by status. */
export const request = async <T>(path: string, init: RequestInit): Promise<T> => {
  const response = await fetchWithCookie(base + path, init);
  const text = await response.text();
  return { status: response.status, data: text ? JSON.parse(text) : undefined, headers: response.headers } as T;
};
