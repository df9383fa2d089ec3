// What an app without a browser brings to each of the generated clients: where the server is, an account, and the refresh cookie,
// since Node's fetch keeps no cookies.

export const base = process.argv[2];

const client = process.argv[1].replace(/.*\/|\.js$/g, '').replace(/[^a-z]/g, '');

export const account = { login: client, email: `${client}@example.org`, password: 'seven purple lanterns' };

let cookie = '';

export const fetchWithCookie: typeof fetch = async (input, init) => {
  const request = new Request(input, init);
  if (cookie && new URL(request.url).pathname.startsWith('/v1/auth/')) request.headers.set('Cookie', cookie);
  const response = await fetch(request);
  for (const line of response.headers.getSetCookie()) cookie = line.split(';')[0];
  return response;
};

export const refreshCookie = () => cookie;
