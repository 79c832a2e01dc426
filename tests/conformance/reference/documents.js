// Documents that an engine may get wrong, with what they are asked by: the owner of an organization, unless a member
// without permissions or nobody does. `id`, `member` and the like in the variables stand for what the test has made.

const MEMBERS = 'members(first: 3, orderBy: { field: EMAIL })';

/** A query of fields of the organization, perhaps with more variables. */
const organization = (fields, more) => `query ($id: ID!${more ? `, ${more}` : ''}) { organization(id: $id) { ${fields} } }`;

export const documents = {
  // ---- which fields are answered, and in which order ----
  'fields in another order than in the schema': { query: organization('version name id kind description createdAt') },
  'aliases, of one field twice': {
    query: 'query ($id: ID!) { b: organization(id: $id) { z: name a: name name } a: organization(id: $id) { id } }',
  },
  'a field twice is one field': {
    query: 'query ($id: ID!) { organization(id: $id) { name id name } viewer { user { id } } organization(id: $id) { kind } }',
  },
  'one field in two places has the selections of both': {
    query: organization(`${MEMBERS} { edges { cursor } } name ${MEMBERS} { edges { node { id } cursor } totalCount }`),
  },
  'overlapping objects in lists': {
    query: `query ($id: ID!) { organization(id: $id) { roles { key } ...More roles { level key } } }
      fragment More on Organization { roles { name id } kind }`,
  },
  'named fragments in fragments': {
    query: `query ($id: ID!) { organization(id: $id) { ...A id } }
      fragment A on Organization { kind ...B name } fragment B on Organization { viewerRole { ...C level } }
      fragment C on Role { key ...D } fragment D on Node { id }`,
  },
  'a fragment spread twice': {
    query: 'query ($id: ID!) { organization(id: $id) { ...A name ...A } } fragment A on Organization { id kind }',
  },
  'inline fragments with and without a type': {
    query: organization('... { version } ... on Organization { id ... on Node { id } } ... on Node { id } name'),
  },
  'fragments of types that it is not': {
    query: `query ($id: ID!) { node(id: $id) { ... on Member { status } id ... on Role { level }
      ... on Organization { name kind } __typename } }`,
  },
  'objects of several types': {
    query: `query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on Organization { name }
      ... on Member { status user { email } } ... on Role { key: level level } } }`,
    variables: { ids: ['id', 'role', 'member', 'unknown'] },
  },
  'one key for another field of another type': {
    query: `query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Organization { it: name } ... on ApiKey { it: name }
      ... on Role { it: key } } }`,
    variables: { ids: ['role', 'id'] },
  },
  'one key for a field of another type of value': {
    query: 'query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Organization { it: name } ... on Role { it: level } } }',
    variables: { ids: ['role', 'id'] },
    refused: true,
  },
  '__typename everywhere': {
    query: `query ($id: ID!) { __typename organization(id: $id) { t: __typename ${MEMBERS} { __typename
      edges { __typename node { __typename user { __typename } } } pageInfo { __typename } } __typename } }`,
  },
  'a mutation with __typename': {
    query: 'mutation { __typename updateViewer(input: { name: "Ada" }) { __typename user { name __typename } userErrors { code } } }',
  },
  'several mutations, one after another': {
    query: `mutation ($id: ID!) { b: updateOrganization(input: { organizationId: $id, description: "one" }) { organization { description } }
      a: updateOrganization(input: { organizationId: $id, description: "two" }) { organization { description id } userErrors { code } } }`,
  },
  'an answer with user errors': {
    query: `mutation ($id: ID!) { updateOrganization(input: { organizationId: $id, name: "" }) { cursor
      userErrors { message field code } organization { id } } }`,
  },

  // ---- @skip and @include ----
  '@skip and @include of fields': {
    query: `query ($id: ID!, $yes: Boolean!, $no: Boolean = false) { organization(id: $id) { id @skip(if: $yes) name @include(if: $yes)
      kind @include(if: $no) version @skip(if: $no) createdAt @skip(if: $no) @include(if: $no) } }`,
    variables: { id: 'id', yes: true },
  },
  '@skip and @include of fragments': {
    query: `query ($id: ID!, $no: Boolean!) {
      organization(id: $id) { ...A @include(if: $no) ... on Organization @skip(if: $no) { name } ... @include(if: $no) { kind } id }
    }
      fragment A on Organization { version }`,
    variables: { id: 'id', no: false },
  },
  'a field that is skipped in one place only': { query: organization('name @skip(if: true) id name') },
  'nothing is left of an object': {
    query: `query ($id: ID!) { organization(id: $id) { viewerRole { id @skip(if: true) } name }
      viewer @include(if: false) { user { id } } }`,
  },
  '@skip without its argument': { query: '{ viewer @skip { user { id } } }', refused: true },
  '@include twice': { query: '{ viewer @include(if: true) @include(if: true) { user { id } } }', refused: true },
  '@skip with another argument': { query: '{ viewer @skip(if: false, unless: true) { user { id } } }', refused: true },
  'null for the argument of @skip': { query: '{ viewer @skip(if: null) { user { id } } }', refused: true },
  'text for the argument of @skip': { query: '{ viewer @skip(if: "true") { user { id } } }', refused: true },
  'a variable of another type for @skip': { query: 'query ($id: ID!) { viewer @skip(if: $id) { user { id } } }', refused: true },
  'a variable for @skip that may be null': {
    query: 'query ($no: Boolean) { viewer @skip(if: $no) { user { id } } }',
    variables: { no: false },
    refused: true,
  },
  'a directive that does not exist': { query: '{ viewer @upper { user { id } } }', refused: true },
  'a directive in a wrong place': { query: 'query @skip(if: true) { viewer { user { id } } }', refused: true },

  // ---- variables ----
  'a default of a variable': { query: organization(`members(first: $first) { edges { cursor } }`, '$first: Int = 1') },
  'a variable takes the place of its default': {
    query: organization(`members(first: $first) { edges { cursor } }`, '$first: Int = 1'),
    variables: { id: 'id', first: 2 },
  },
  'null for a variable with a default': {
    query: organization(`members(first: $first) { edges { cursor } }`, '$first: Int = 1'),
    variables: { id: 'id', first: null },
  },
  'a variable that is left out': {
    query: organization(`members(search: $search, filter: $filter) { totalCount }`, '$search: String, $filter: MemberFilter'),
  },
  'a default of a field of an input': {
    query: organization(`members(orderBy: { field: $by }) { nodes { id } }`, '$by: MemberOrderField!'),
    variables: { id: 'id', by: 'NAME' },
  },
  'a value in the place of a list': {
    query: organization(`members(filter: { statuses: [$is] }) { totalCount }`, '$is: MemberStatus!'),
    variables: { id: 'id', is: 'ACTIVE' },
  },
  'a single value for a variable that is a list': {
    query: organization('members(filter: { statuses: $is }) { totalCount }', '$is: [MemberStatus!]'),
    variables: { id: 'id', is: 'ACTIVE' },
  },
  'a single id for a list of ids': { query: 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', variables: { ids: 'id' } },
  'a single object in a literal list': { query: organization('members(filter: { statuses: ACTIVE }) { totalCount }') },
  'a whole number for an id': { query: '{ organization(id: 7) { id } }' },
  'a whole number for a variable that is an id': {
    query: 'query ($other: ID!) { organization(id: $other) { id } }',
    variables: { other: 7 },
  },
  'a whole number with a fraction of zero': {
    query: organization('members(first: $first) { totalCount }', '$first: Int'),
    body: (id) => `{"id":"${id}","first":2.0}`,
  },
  'a fraction for a whole number': {
    query: organization('members(first: $first) { totalCount }', '$first: Int'),
    variables: { id: 'id', first: 1.5 },
    refused: true,
  },
  'a number beyond 32 bits': {
    query: organization('members(first: $first) { totalCount }', '$first: Int'),
    variables: { id: 'id', first: 3_000_000_000 },
    refused: true,
  },
  'a literal beyond 32 bits': { query: organization('members(first: 3000000000) { totalCount }'), refused: true },
  'a time that is none': {
    query: organization('name members(asOf: $at) { totalCount }', '$at: DateTime'),
    variables: { id: 'id', at: 'yesterday' },
    refused: true,
  },
  'a literal of a time that is none': { query: organization('name members(asOf: "yesterday") { totalCount }'), refused: true },
  'a time': {
    query: organization('name members(asOf: $at) { totalCount }', '$at: DateTime'),
    variables: { id: 'id', at: '2100-01-01T00:00:00Z' },
  },
  'text for a whole number': {
    query: organization('members(first: $first) { totalCount }', '$first: Int'),
    variables: { id: 'id', first: '1' },
    refused: true,
  },
  'a number for text': {
    query: organization('members(search: $search) { totalCount }', '$search: String'),
    variables: { id: 'id', search: 1 },
    refused: true,
  },
  'text for a truth': {
    query: organization('id @include(if: $yes) name', '$yes: Boolean!'),
    variables: { id: 'id', yes: 'true' },
    refused: true,
  },
  'null for a variable that is not null': {
    query: 'query ($other: ID!) { organization(id: $other) { id } }',
    variables: { other: null },
    refused: true,
  },
  'a variable that is missing': { query: 'query ($other: ID!) { organization(id: $other) { id } }', variables: {}, refused: true },
  'null in a literal list of what is not null': { query: '{ nodes(ids: ["org_none", null]) { id } }', refused: true },
  'a variable in a literal list': { query: 'query ($id: ID!, $role: ID!) { nodes(ids: [$role, $id]) { id } }' },
  'a variable in a list that is declared for another type': {
    query: 'query ($first: Int) { nodes(ids: [$first]) { id } }',
    variables: { first: 1 },
    refused: true,
  },
  'a missing variable in a field of an input': {
    query: organization('members(orderBy: { field: NAME, direction: $by }) { totalCount }', '$by: OrderDirection'),
  },
  'a missing variable in a literal list': {
    query: organization('members(filter: { statuses: [$status] }) { totalCount }', '$status: MemberStatus = ACTIVE'),
  },
  'a variable that is used only in a fragment': {
    query: 'query ($id: ID!, $no: Boolean!) { organization(id: $id) { ...A } } fragment A on Organization { name @skip(if: $no) id }',
    variables: { id: 'id', no: true },
  },
  'a variable that only one of two operations declares': {
    query: `query A($id: ID!) { organization(id: $id) { ...F } } query B { viewer { organizations { nodes { ...F } } } }
      fragment F on Organization { member(id: $id) { id } }`,
    operationName: 'A',
    refused: true,
  },
  'an unknown value of an enum': {
    query: organization('members(filter: { statuses: [$is] }) { totalCount }', '$is: MemberStatus!'),
    variables: { id: 'id', is: 'ASLEEP' },
    refused: true,
  },
  'an unknown field of an input in a variable': {
    query: organization('members(filter: $filter) { totalCount }', '$filter: MemberFilter'),
    variables: { id: 'id', filter: { shoeSize: 44 } },
    refused: true,
  },
  'a missing field of an input in a variable': {
    query: organization('members(orderBy: $by) { totalCount }', '$by: MemberOrder'),
    variables: { id: 'id', by: { direction: 'ASC' } },
    refused: true,
  },
  'null in a list of what is not null': {
    query: 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }',
    variables: { ids: ['id', null] },
    refused: true,
  },
  'a variable that nobody declared is ignored': { query: organization('id'), variables: { id: 'id', more: 1 } },
  'a variable in a place of another type': { query: 'query ($id: String!) { organization(id: $id) { id } }', refused: true },
  'a variable that may be null in a place that may not': { query: 'query ($id: ID) { organization(id: $id) { id } }', refused: true },
  'a default lets a variable into a place that is not null': {
    query: 'query ($other: ID = "org_none") { organization(id: $other) { id } }',
    variables: {},
  },
  'a default that is wrong': { query: organization('members(first: $first) { totalCount }', '$first: Int = "one"'), refused: true },
  'a variable that is not used': { query: organization('id', '$more: Int'), refused: true },
  'a variable that is not declared': { query: '{ organization(id: $id) { id } }', refused: true },
  'a variable that is declared twice': { query: organization('id', '$id: ID!'), refused: true },
  'a variable of an unknown type': { query: 'query ($id: Key!) { organization(id: $id) { id } }', refused: true },
  'a variable of a type that is no input': { query: 'query ($id: Organization) { organization(id: $id) { id } }', refused: true },

  // ---- what is not allowed ----
  'text that is no document': { query: 'query { viewer { user { id } }', refused: true },
  'nothing but a comment': { query: '# nothing', refused: true },
  'an empty selection': { query: '{ viewer { } }', refused: true },
  'an unknown field': { query: '{ viewer { shoeSize } }', refused: true },
  'an unknown argument': { query: '{ node(id: "org_1", size: 2) { id } }', refused: true },
  'a missing argument': { query: '{ node { id } }', refused: true },
  'an argument twice': { query: '{ node(id: "org_1", id: "org_1") { id } }', refused: true },
  'null for an argument that is not null': { query: '{ node(id: null) { id } }', refused: true },
  'a literal of a wrong type': { query: organization('members(first: "3") { totalCount }'), refused: true },
  'text for an enum': { query: organization('members(orderBy: { field: "NAME" }) { totalCount }'), refused: true },
  'an unknown literal of an enum': { query: organization('members(orderBy: { field: SIZE }) { totalCount }'), refused: true },
  'a field of an input twice': { query: organization('members(orderBy: { field: NAME, field: NAME }) { totalCount }'), refused: true },
  'an object without selections': { query: '{ viewer }', refused: true },
  'selections of a value': { query: organization('name { length }'), refused: true },
  'an unknown fragment': { query: '{ viewer { ...Nothing } }', refused: true },
  'a fragment that is not used': { query: '{ viewer { user { id } } } fragment A on User { id }', refused: true },
  'a fragment of an unknown type': { query: '{ viewer { user { ...A } } } fragment A on Person { id }', refused: true },
  'a fragment of a value': { query: '{ viewer { user { id ...A } } } fragment A on String { id }', refused: true },
  'a fragment that never fits': { query: '{ viewer { user { ... on Role { id } } } }', refused: true },
  'a fragment of itself': { query: '{ viewer { user { ...A } } } fragment A on User { id ...A }', refused: true },
  'two fragments of one name': {
    query: '{ viewer { user { ...A } } } fragment A on User { id } fragment A on User { name }',
    refused: true,
  },
  'one key for two fields': { query: organization('name name: kind'), refused: true },
  'one key for two fields, one of them in a fragment': { query: organization('it: name ... on Organization { it: kind }'), refused: true },
  'one key with two arguments': { query: organization('members(first: 1) { totalCount } members(first: 2) { totalCount }'), refused: true },
  'a type beside the operations': { query: '{ viewer { user { id } } } type Person { id: ID }', refused: true },
  'a subscription with two fields': {
    query: `subscription ($id: ID!) { a: organizationEvents(organizationId: $id) { cursor }
      b: organizationEvents(organizationId: $id) { cursor } }`,
    refused: true,
  },

  'a subscription of introspection': { query: 'subscription { __typename }', refused: true },
  'conflicts deep in fragments': {
    query: `query ($id: ID!) { organization(id: $id) { ...A ...B } } fragment A on Organization { roles { it: name } }
      fragment B on Organization { roles { it: key } }`,
    refused: true,
  },
  'a fragment of itself by another': {
    query: '{ viewer { user { ...A } } } fragment A on User { id ...B } fragment B on User { name ...A }',
    refused: true,
  },
  'a number that begins with zero': { query: organization('members(first: 01) { totalCount }'), refused: true },
  'text that does not end': { query: '{ node(id: "org_1) { id } }', refused: true },
  'an escape that does not exist': { query: '{ node(id: "\\x") { id } }', refused: true },

  // ---- subscriptions ----
  'a subscription with aliases and fragments': {
    query: `subscription ($id: ID!) { ...S } fragment S on Subscription { e: organizationEvents(organizationId: $id) { __typename ...E cursor } }
      fragment E on EventEdge { node { type __typename s: sequence } }`,
  },
  'a subscription that may not be opened': {
    as: 'member',
    query: 'subscription ($id: ID!) { organizationEvents(organizationId: $id) { cursor } }',
    refused: true,
  },
  'a subscription with a field that is skipped': {
    query: `subscription ($id: ID!) { organizationEvents(organizationId: $id) @skip(if: true) { cursor }
      organizationChanges(organizationId: $id) { cursor } }`,
  },

  // ---- operations ----
  'one of several operations': { query: 'query A { viewer { user { id } } } query B { viewer { user { email } } }', operationName: 'B' },
  'none of several operations': { query: 'query A { viewer { user { id } } } query B { viewer { user { email } } }', refused: true },
  'an operation that is not there': { query: 'query A { viewer { user { id } } }', operationName: 'B', refused: true },
  'an empty name of an operation': { query: 'query A { viewer { user { id } } }', operationName: '', refused: true },
  'two operations of one name': {
    query: 'query A { viewer { user { id } } } query A { viewer { user { id } } }',
    operationName: 'A',
    refused: true,
  },
  'one without a name beside another': {
    query: '{ viewer { user { id } } } query A { viewer { user { id } } }',
    operationName: 'A',
    refused: true,
  },
  'fragments only': { query: 'fragment A on User { id }', refused: true },

  // ---- fields that err ----
  'a guarded field is null and its siblings stay': {
    as: 'member',
    query: organization('name members { totalCount } id invitations { totalCount } roles { memberCount key }'),
  },
  'a field that errs twice, under two keys': {
    query: organization('b: members(first: 1000) { totalCount } name a: members(after: "nowhere") { totalCount }'),
  },
  'a field that errs below another': {
    query: organization('member(id: $member) { id activity(first: 1000) { totalCount } status } name', '$member: ID!'),
  },
  'a field that is not null takes its parent with it': {
    query: 'query ($id: ID!) { organization(id: $id) { id } viewer { user { id } organizations(first: 1000) { totalCount } } }',
  },
  'two fields that are not null': {
    query: '{ viewer { a: organizations(first: 1000) { totalCount } user { id } b: organizations(after: "nowhere") { totalCount } } }',
  },
  'a field of the root that is not null': {
    query: 'query ($id: ID!, $ids: [ID!]!) { organization(id: $id) { id } nodes(ids: $ids) { id } }',
    variables: { id: 'id', ids: Array(21).fill('id') },
  },
  'errors in a list': { query: '{ viewer { organizations { nodes { kind members(first: 1000) { totalCount } id } } } }' },
  'a mutation that may not be asked': {
    as: 'nobody',
    query: 'mutation ($id: ID!) { updateOrganization(input: { organizationId: $id, name: "B" }) { organization { id } } }',
  },
  'a second mutation that errs': {
    query: `mutation ($id: ID!) { a: updateOrganization(input: { organizationId: $id, description: "three" }) { organization { description } }
      b: updateOrganization(input: { organizationId: $id, description: "four" }) {
        organization { members(first: 1000) { totalCount } description } } }`,
  },
  'what nobody may see is null without an error': {
    as: 'nobody',
    query: 'query ($id: ID!) { viewer { user { id } } organization(id: $id) { name } node(id: $id) { id } }',
  },

  // ---- introspection ----
  'the roots': { query: '{ __schema { queryType { name } mutationType { name kind } subscriptionType { name fields { name } } } }' },
  'the description of the schema': { query: '{ __schema { description } }' },
  'the directives of fields': { query: '{ __schema { directives { name isRepeatable } } }' },
  'a type with its fields': {
    query: `{ __type(name: "Organization") { kind name description interfaces { name }
      fields { name description isDeprecated type { kind name ofType { kind name } }
      args { name description defaultValue type { name kind ofType { name } } } } } }`,
  },
  'an input with its defaults': {
    query: `{ __type(name: "MemberOrder") { kind name
      inputFields { name defaultValue type { kind name ofType { name } } } fields { name } } }`,
  },
  'an enum': {
    query: `{ __type(name: "MemberStatus") { kind
      enumValues { name description isDeprecated deprecationReason } possibleTypes { name } } }`,
  },
  'an interface': { query: '{ __type(name: "Node") { kind fields { name } possibleTypes { name } } }' },
  'a scalar': { query: '{ __type(name: "DateTime") { kind name description ofType { name } } }' },
  'where a scalar is specified': { query: '{ __type(name: "DateTime") { specifiedByURL } }' },
  'a type that does not exist': { query: '{ __type(name: "Shoe") { name } }' },
  'introspection beside other fields': {
    query: 'query ($id: ID!) { organization(id: $id) { name __typename } __type(name: "Role") { __typename name } __typename }',
  },
  'an unknown field of introspection': { query: '{ __schema { shoes } }', refused: true },
};

/** Ways to write text. */
export const texts = {
  'text with escapes': String.raw`"tabs\t, \"quotes\", \\ \/ and \u00e9 😀"`,
  'text beyond 16 bits, as one escape': String.raw`"\u{1F600}"`,
  'text beyond 16 bits, as a pair of escapes': String.raw`"\uD83D\uDE00"`,
  'a block of text': '"""\n    A block\n      keeps what is indented further,\n\n    and its \\\\n.\n\n  """',
  'quotes in a block of text': '"""one \\""" two"""',
};

/** Two ways to write one thing. */
export const same = {
  'one value in the place of a list': ['nodes(ids: "org_none") { id }', 'nodes(ids: ["org_none"]) { id }'],
  'a default of an input': [
    'o: organization(id: $id) { members(orderBy: { field: NAME }) { nodes { id } } }',
    'o: organization(id: $id) { members(orderBy: { field: NAME, direction: ASC }) { nodes { id } } }',
  ],
  'a variable that is left out, and no argument': [
    'o: organization(id: $id) { members(search: $none) { nodes { id } } }',
    'o: organization(id: $id) { members { nodes { id } } }',
  ],
  'a missing variable leaves the default of an input': [
    'o: organization(id: $id) { members(orderBy: { field: EMAIL, direction: $direction }) { nodes { id } } }',
    'o: organization(id: $id) { members(orderBy: { field: EMAIL }) { nodes { id } } }',
  ],
  'null and nothing for a list that may be null': [
    'o: organization(id: $id) { members(filter: { statuses: null }) { totalCount } }',
    'o: organization(id: $id) { members(filter: {}) { totalCount } }',
  ],
};

