module.exports = {
  arkloop: {
    input: process.env.ARKLOOP_DOCUMENT,
    output: {
      client: 'fetch',
      target: 'generated/orval.ts',
      override: { mutator: { path: './orval-request.ts', name: 'request' } },
    },
  },
};
