// What a client sends, as its `fetch` sees it, and what it shows.

/** A `fetch` that keeps what it was asked and answered. */
export function recorder() {
  const exchanges = [];
  return {
    exchanges,
    fetch: async (url, options = {}) => {
      const response = await fetch(url, options);
      const parameters = Object.fromEntries(new URL(url).searchParams);
      const body = options.body ? JSON.parse(options.body) : { ...parameters, extensions: JSON.parse(parameters.extensions ?? '{}') };
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

/** Follows an operation of a client; `until` waits for a result with data that is what is wanted. */
export function follow(source) {
  const results = [];
  let seen = () => {};
  const subscription = source.subscribe((result) => {
    results.push(result);
    seen();
  });
  return {
    results,
    until: (wanted) => new Promise((resolve) => {
      seen = () => results.some(({ data }) => data && wanted(data)) && resolve(results);
      seen();
    }),
    end: () => subscription.unsubscribe(),
  };
}

/** Invites somebody once a subscription to changes has begun, which its first answer says, and waits until it tells of them. */
export async function inviteAndBeTold(service, { id, session }, changes, name) {
  await changes.until((data) => data.organizationChanges.areas.length === 0);
  const email = `${name}@example.com`;
  await service.ask(`mutation { inviteMember(input: { organizationId: "${id}", email: "${email}" }) { userErrors { code } } }`, session);
  await changes.until((data) => data.organizationChanges.areas.includes('INVITATIONS'));
  return email;
}
