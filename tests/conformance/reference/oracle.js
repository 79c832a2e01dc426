// What graphql-js makes of a document, with the values that the server gave: it decides whether the document may run,
// which fields are answered in which order, and what becomes null around a field that errs.

import {
  execute, getNamedType, getNullableType, getOperationAST, isEnumType, isLeafType, isListType, parse, responsePathAsArray,
  subscribe, validate, valueFromASTUntyped,
} from 'graphql';

import { schema } from '../operations.js';

/** The file of the schema only names the scalar; this is what its description says. */
const time = schema.getType('DateTime');
time.parseValue = (value) => {
  if (typeof value !== 'string' || Number.isNaN(Date.parse(value))) throw new TypeError('This is no time.');
  return value;
};
time.parseLiteral = (node, variables) => time.parseValue(valueFromASTUntyped(node, variables));

/** Stands for an object that the server did not show, because something below it erred. */
const HIDDEN = Symbol('hidden');
const SAMPLES = { Boolean: false, Float: 0, ID: '', Int: 0, String: '' };
const TYPES = { org: 'Organization', usr: 'User', mem: 'Member', rol: 'Role', inv: 'Invitation', key: 'ApiKey', evt: 'Event' };

const below = (path, errors) => errors.filter((error) => path.every((key, place) => error[place] === key));
/** Whether there is an error at a place, and whether there is one deeper inside. */
const errs = (path, errors) => below(path, errors).some((error) => error.length === path.length);
const errsInside = (path, errors) => below(path, errors).some((error) => error.length > path.length);

/** Some value of a type at a place that the server did not show; lists reach as far as the errors below them. */
function hidden(type, path, errors) {
  const nullable = getNullableType(type);
  if (isListType(nullable)) {
    const inside = below(path, errors).filter((error) => error.length > path.length);
    const length = Math.max(0, ...inside.map((error) => error[path.length] + 1));
    return Array.from({ length }, (_, index) => hidden(nullable.ofType, [...path, index], errors));
  }
  const named = getNamedType(nullable);
  if (isEnumType(named)) return named.getValues()[0].value;
  return isLeafType(named) ? SAMPLES[named.name] ?? '' : HIDDEN;
}

/** The value at a place of the answer; an error where the server says that there was one. */
function valueAt(value, type, path, errors) {
  if (errs(path, errors)) return new Error('The server said so.');
  const nullable = getNullableType(type);
  if (Array.isArray(value) && isListType(nullable)) {
    return value.map((item, index) => valueAt(item, nullable.ofType, [...path, index], errors));
  }
  return value == null && errsInside(path, errors) ? hidden(type, path, errors) : value;
}

/** Runs a request over the server's own answer; resolves to an answer without `data`, if it must not run at all. */
export async function reference({ query, variables, operationName }, answer) {
  let document;
  try {
    document = parse(query);
  } catch (error) {
    return { errors: [error] };
  }
  const mistakes = validate(schema, document);
  if (mistakes.length > 0) return { errors: mistakes };
  const errors = (answer.errors ?? []).map(({ path }) => path ?? []);
  const root = answer.data ?? HIDDEN;
  const request = {
    schema,
    document,
    operationName,
    variableValues: variables,
    rootValue: root,
    fieldResolver: (source, _args, _context, info) => {
      const path = responsePathAsArray(info.path);
      if (source !== HIDDEN) return valueAt(source[info.path.key], info.returnType, path, errors);
      return errs(path, errors) ? valueAt(null, info.returnType, path, errors) : hidden(info.returnType, path, errors);
    },
    typeResolver: (value) => value.__typename ?? TYPES[value.id?.split('_')[0]],
  };
  const subscribes = getOperationAST(document, operationName)?.operation === 'subscription';
  return subscribes ? firstOf(request, root, errors) : execute(request);
}

/** The first answer of a subscription; one that erred at its root could not be opened. */
async function firstOf(request, root, errors) {
  const opened = await subscribe({
    ...request,
    subscribeFieldResolver: () => {
      if (errors.some((path) => path.length === 1)) throw new Error('The server said so.');
      return (async function* events() { yield root; }());
    },
  });
  return Symbol.asyncIterator in opened ? (await opened.next()).value : opened;
}

const paths = (answer) => (answer.errors ?? []).map(({ path }) => JSON.stringify(path ?? null)).sort();

/** Introspection tells things of a type in any order; by their names they can be compared. */
function inOrder(value) {
  const name = (item) => item?.name ?? item;
  if (Array.isArray(value)) return value.map(inOrder).sort((one, other) => (name(one) < name(other) ? -1 : 1));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, below]) => [key, inOrder(below)]));
}

const introspects = (data) => data && ['__schema', '__type'].some((key) => Object.hasOwn(data, key));
const shown = (data) => JSON.stringify(introspects(data) ? inOrder(data) : data);

/** How the server's answer differs from that of graphql-js; the text of `data` is compared, so the order of keys counts. */
export function differences(ours, theirs) {
  const ran = (answer) => (Object.hasOwn(answer, 'data') ? 'runs it' : 'refuses it');
  if (ran(ours) !== ran(theirs)) return [`graphql-js ${ran(theirs)}, the server ${ran(ours)}`];
  const found = [];
  if (!Object.hasOwn(ours, 'data')) return found;
  const compare = (what, one, other) => {
    if (one !== other) found.push(`${what}: graphql-js ${other}, the server ${one}`);
  };
  compare('data', shown(ours.data), shown(theirs.data));
  compare('paths of errors', paths(ours).join(), paths(theirs).join());
  return found;
}
