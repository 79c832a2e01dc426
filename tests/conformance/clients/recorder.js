// What a client sent and was answered, seen from its `fetch`.

/** A `fetch` that keeps what it was asked and answered. */
export function recorder() {
  const exchanges = [];
  return {
    exchanges,
    fetch: async (url, options = {}) => {
      const response = await fetch(url, options);
      const parameters = new URL(url).searchParams;
      const body = options.body ? JSON.parse(options.body) : { ...Object.fromEntries(parameters), extensions: JSON.parse(parameters.get('extensions') ?? '{}') };
      exchanges.push({
        method: options.method ?? 'GET',
        accept: new Headers(options.headers).get('accept'),
        type: response.headers.get('content-type').split(';')[0],
        body,
      });
      return response;
    },
  };
}
