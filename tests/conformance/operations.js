// The contract and what clients send, as graphql-js reads them.

import { readFileSync } from 'node:fs';
import path from 'node:path';

import { Kind, NoUnusedFragmentsRule, buildSchema, parse, specifiedRules, validate } from 'graphql';

export const root = path.resolve(import.meta.dirname, '../..');
const read = (file) => readFileSync(path.join(root, file), 'utf8');

export const schema = buildSchema(read('schema.graphql'));

const text = read('tests/fixtures/operations.graphql');
const document = parse(text);
const definitions = (kind) => document.definitions
  .filter((node) => node.kind === kind)
  .map((node) => ({ node, name: node.name.value, text: text.slice(node.loc.start, node.loc.end) }));

export const fragments = definitions(Kind.FRAGMENT_DEFINITION);
const all = definitions(Kind.OPERATION_DEFINITION);
const rules = specifiedRules.filter((rule) => rule !== NoUnusedFragmentsRule);
const validates = ({ node }) => {
  const alone = { kind: Kind.DOCUMENT, definitions: [node, ...fragments.map((fragment) => fragment.node)] };
  return validate(schema, alone, rules).length === 0;
};

/** The operations that the schema has everything for. */
export const operations = all.filter(validates);
/** The names of those that it has not. */
export const notServed = all.filter((operation) => !validates(operation)).map(({ name }) => name);
/** The names that the tests of the schema allow to be among them. */
export const notYet = Array.from(
  (read('tests/it/graphql/schema.rs').match(/NOT_YET: &\[&str\] = &\[([^\]]*)\]/)?.[1] ?? '').matchAll(/"(\w+)"/g),
  ([, name]) => name,
);

/** The fragments and the operations that are served, as one document. */
export const served = [...fragments, ...operations].map((definition) => definition.text).join('\n\n');
