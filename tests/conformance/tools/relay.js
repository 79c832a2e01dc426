// What an application built with Relay would have in its modules, beside the operations that every client sends.

export const modules = {
  MembersPage: `query MembersPageQuery($id: ID!) {
    node(id: $id) { ...MembersList_organization @alias(as: "organization") }
  }`,
  MembersList: `fragment MembersList_organization on Organization
  @argumentDefinitions(
    count: { type: "Int", defaultValue: 20 }
    cursor: { type: "String" }
    search: { type: "String" }
    orderBy: { type: "MemberOrder", defaultValue: { field: NAME } }
  )
  @refetchable(queryName: "MembersListPaginationQuery") {
    members(first: $count, after: $cursor, search: $search, orderBy: $orderBy)
      @connection(key: "MembersList_members", filters: ["search", "orderBy"]) {
      totalCount
      edges { node { ...MemberCard_member } }
    }
  }`,
  MemberCard: `fragment MemberCard_member on Member @refetchable(queryName: "MemberCardRefetchQuery") {
    status
    user @required(action: NONE) { name email }
    role { name }
  }`,
  MemberCardRemove: `mutation MemberCardRemoveMutation($input: RemoveMemberInput!) {
    removeMember(input: $input) { removedMemberId @deleteRecord userErrors { code message field } }
  }`,
  InviteDialog: `mutation InviteDialogMutation($input: InviteMemberInput!, $connections: [ID!]!) {
    inviteMember(input: $input) {
      invitation @prependNode(connections: $connections, edgeTypeName: "InvitationEdge") { id email state }
      userErrors { code message field }
    }
  }`,
  InvitationsList: `fragment InvitationsList_organization on Organization
  @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" })
  @refetchable(queryName: "InvitationsListPaginationQuery") {
    invitations(last: $count, before: $cursor, states: PENDING) @connection(key: "InvitationsList_invitations") {
      edges { node { email state expiresAt } }
    }
  }`,
  Switcher: `query SwitcherQuery {
    viewer @required(action: THROW) {
      organizations(first: 50) @connection(key: "Switcher_organizations") { edges { joinedAt node { name kind logoUrl } } }
    }
  }`,
  Refresher: `subscription RefresherSubscription($id: ID!) {
    organizationChanges(organizationId: $id) { cursor areas }
  }`,
};
