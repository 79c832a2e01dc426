// A program written against the generated types. It is compiled, not run: each line that is expected to be wrong has to be.

import type { TypedDocumentNode } from '@graphql-typed-document-node/core';

import { graphql, useFragment, type FragmentType } from './generated/index.js';
import { MemberRowFragmentDoc, MembersDocument, RemoveMemberDocument, type MemberStatus } from './generated/graphql.js';

type Answer<Data> = { data?: Data | null; errors?: ReadonlyArray<{ message: string; path?: ReadonlyArray<string | number> }> };
declare function ask<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables): Promise<Answer<Data>>;

const Switcher = graphql(`
  query Switcher($first: Int) {
    viewer { organizations(first: $first) { edges { joinedAt node { id name kind logoUrl } } } }
  }
`);

export async function switcher(): Promise<string[]> {
  const { data } = await ask(Switcher, { first: 10 });
  // @ts-expect-error: nobody may be signed in.
  data?.viewer.organizations;
  // @ts-expect-error: a page is as long as a whole number says.
  await ask(Switcher, { first: 'ten' });
  return (data?.viewer?.organizations.edges ?? []).map(({ joinedAt, node }) => {
    const since: string | null | undefined = joinedAt;
    // @ts-expect-error: there are four kinds, and this is none of them.
    if (node.kind === 'CLUB') return node.name;
    return `${node.name} ${since ?? ''}`;
  });
}

function name(row: FragmentType<typeof MemberRowFragmentDoc>): [string, MemberStatus] {
  // @ts-expect-error: the fields of a fragment are its own.
  row.user;
  const member = useFragment(MemberRowFragmentDoc, row);
  return [member.user.name ?? member.user.email, member.status];
}

export async function names(id: string): Promise<Array<[string, MemberStatus]>> {
  const { data } = await ask(MembersDocument, { id, filter: { statuses: ['ACTIVE'] }, orderBy: { field: 'NAME' } });
  // @ts-expect-error: an order has a field.
  await ask(MembersDocument, { id, orderBy: { direction: 'ASC' } });
  // @ts-expect-error: members need a permission and may be null.
  data?.organization?.members.totalCount;
  return data?.organization?.members?.edges.map(({ node }) => name(node)) ?? [];
}

export async function remove(id: string, memberId: string): Promise<string> {
  const { data } = await ask(RemoveMemberDocument, { id, memberId, createdKeys: 'REVOKE' });
  // @ts-expect-error: a member is named.
  await ask(RemoveMemberDocument, { id });
  const removed: string | null | undefined = data?.removeMember.removedMemberId;
  return removed ?? '';
}
