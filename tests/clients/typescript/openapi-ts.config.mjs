export default {
  input: process.env.ARKLOOP_DOCUMENT,
  output: 'generated/hey-api',
  plugins: ['@hey-api/client-fetch', 'zod', { name: '@hey-api/sdk', validator: true }],
};
