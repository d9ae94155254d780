// Answers of the simulator against an OpenAPI 3.0 description of Graph: routes, statuses, headers, bodies.
import { readFileSync } from 'node:fs';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';

/** Headers every answer of Graph has, whatever a description says of them. */
const ALWAYS = ['request-id', 'client-request-id', 'date', 'x-ms-ags-diagnostic'];
/** Headers a status is of no use without. */
const NEEDED = { 401: ['www-authenticate'], 405: ['allow'], 410: ['location'], 429: ['retry-after'] };
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
let read;

/** The description `POSTROOM_GRAPH_OPENAPI` names; null if it names none. */
export function describe() {
  const path = process.env.POSTROOM_GRAPH_OPENAPI;
  if (read === undefined) read = path ? new Description(parse(readFileSync(path, 'utf8'))) : null;
  return read;
}

/** The name of a component, from a reference to it. */
const named = (reference) => reference.split('/').pop();

/**
 * A schema of OpenAPI 3.0 in JSON Schema 2020-12. `own`: what it inherits from is taken without looking for its subtypes,
 * so that a subtype does not look for itself.
 */
function convert(schema, own = false) {
  if (Array.isArray(schema)) return schema.map((one) => convert(one));
  if (typeof schema !== 'object' || schema === null) return schema;
  if (schema.$ref) return { $ref: `#/$defs/${named(schema.$ref)}${own ? '!own' : ''}` };
  const out = {};
  for (const [key, value] of Object.entries(schema)) {
    if (['type', 'enum', 'format', 'required', 'minimum', 'maximum', 'minItems', 'maxItems', 'uniqueItems', 'pattern', 'maxLength'].includes(key)) out[key] = value;
    else if (key === 'items') out[key] = convert(value);
    else if (key === 'allOf') out[key] = value.map((one) => convert(one, own));
    else if (key === 'anyOf' || key === 'oneOf') out[key] = convert(value);
    else if (key === 'properties') out[key] = Object.fromEntries(Object.entries(value).map(([name, one]) => [name, convert(one)]));
    // An open type may hold more than it says; what holds it decides.
    else if (key === 'additionalProperties' && value !== true) out[key] = convert(value);
  }
  return schema.nullable ? { anyOf: [out, { type: 'null' }] } : out;
}

/** The subtypes of a component by their names on the wire, if it has any: named by itself, or by what it only adds something to. */
function mapping(schemas, name) {
  const schema = schemas[name];
  const parts = [schema, ...(schema.allOf ?? [])];
  const own = parts.find((one) => one.discriminator)?.discriminator.mapping;
  if (own) return { [`#${name}`]: name, ...own };
  const kinds = parts.filter((one) => one.$ref).map((one) => mapping(schemas, named(one.$ref))).find(Boolean);
  // A subtype is not one of its supertypes' other kinds.
  return kinds && Object.values(kinds).some((one) => named(one) === name) ? undefined : kinds;
}

/** Both forms of a component: as it is inherited from, and as it stands in an answer: with its subtypes, and nothing unheard of. */
function define(name, schema, schemas) {
  const own = convert(schema, true);
  const kinds = mapping(schemas, name);
  const whole = { allOf: [{ $ref: `#/$defs/${name}!own` }] };
  if (kinds) {
    whole.properties = { '@odata.type': { enum: Object.keys(kinds) } };
    for (const [kind, reference] of Object.entries(kinds)) {
      if (named(reference) === name) continue;
      whole.allOf.push({
        if: { required: ['@odata.type'], properties: { '@odata.type': { const: kind } } },
        then: { $ref: `#/$defs/${named(reference)}!own` },
      });
    }
  }
  if (schema.type === 'object' || schema.allOf || schema.oneOf || schema.anyOf) {
    // Annotations of OData may stand anywhere; a property nobody describes is a mistake of the simulator's.
    whole.patternProperties = { '@': true };
    if (!name.endsWith('InnerError')) whole.unevaluatedProperties = false;
  }
  return { [`${name}!own`]: own, [name]: whole };
}

class Description {
  constructor(document) {
    this.document = document;
    this.ajv = new Ajv({ strict: false, allErrors: true });
    addFormats(this.ajv);
    // Decoders insist on the padding.
    this.ajv.addFormat('base64url', /^([A-Za-z0-9+/_-]{4})*([A-Za-z0-9+/_-]{2}==|[A-Za-z0-9+/_-]{3}=)?$/);
    const { schemas } = document.components;
    const $defs = Object.assign({}, ...Object.entries(schemas).map(([name, schema]) => define(name, schema, schemas)));
    this.ajv.addSchema({ $id: 'graph', $defs });
    this.compiled = new Map();
    /** Every operation: method, template, its segments, its answers. */
    this.operations = Object.entries(document.paths).flatMap(([template, item]) => METHODS.filter((method) => item[method])
      .map((method) => ({ method: method.toUpperCase(), template, segments: template.split('/').slice(1), responses: item[method].responses })));
  }

  resolve(thing) {
    return thing?.$ref ? thing.$ref.split('/').slice(1).reduce((at, name) => at[name], this.document) : thing;
  }

  /** What is wrong with a value, one sentence each. */
  judge(schema, value) {
    const key = JSON.stringify(schema);
    if (!this.compiled.has(key)) this.compiled.set(key, this.ajv.compile(JSON.parse(JSON.stringify(convert(schema)).replaceAll('"#/$defs/', '"graph#/$defs/'))));
    const valid = this.compiled.get(key);
    if (valid(value)) return [];
    // A branch that fails makes its `if` and `anyOf` fail, too: the deepest says most.
    return valid.errors.filter((one) => !['if', 'anyOf', 'allOf'].includes(one.keyword)).map((one) => `${one.instancePath || 'the body'} ${one.message} ${JSON.stringify(one.params)}`);
  }

  /** The operation a request is of; the forms of OData that mean the same are the same. */
  find(method, path) {
    const segments = path.replace(/^\/v1\.0\//, '').split('/').filter(Boolean).flatMap((segment) => {
      const keyed = /^([A-Za-z]+)\('(.*)'\)$/.exec(decodeURIComponent(segment));
      return keyed ? [keyed[1], keyed[2]] : [segment.replace(/^(microsoft\.graph\.)?delta(\(\))?$/, 'delta')];
    });
    // However deep a folder lies, its description is that of the second level.
    while (segments.filter((one) => one === 'childFolders').length > 1 && segments.length > 6) segments.splice(segments.indexOf('childFolders'), 2);
    const fits = (operation) => operation.method === method && operation.segments.length === segments.length
      && operation.segments.every((one, at) => one.startsWith('{') || one === segments[at]);
    const literal = (operation) => operation.segments.filter((one) => !one.startsWith('{')).length;
    return this.operations.filter(fits).sort((a, b) => literal(b) - literal(a))[0];
  }
}

/** What the description has against an answer, one sentence each. What it does not describe it says nothing of. */
export function complaints(description, answer) {
  const operation = description.find(answer.method, answer.path);
  if (!operation) return [];
  const out = [];
  const response = description.resolve(operation.responses[answer.status] ?? (answer.status >= 400 ? operation.responses.default : undefined));
  if (!response) return [`${answer.method} ${operation.template}: ${answer.status} is not described`];
  for (const name of [...ALWAYS, ...(NEEDED[answer.status] ?? [])]) {
    if (!answer.headers[name]) out.push(`the header ${name} is missing`);
  }
  for (const [name, header] of Object.entries(response.headers ?? {})) {
    const value = answer.headers[name.toLowerCase()];
    if (value === undefined && header.required) out.push(`the header ${name} is missing`);
    if (value !== undefined) out.push(...description.judge(header.schema, value).map((one) => `the header ${name}: ${one}`));
  }
  const type = (answer.headers['content-type'] ?? '').split(';')[0].trim();
  // Raw content has the type of what it is, whatever the description calls it.
  const raw = Object.values(response.content ?? {}).every((one) => one.schema?.format === 'binary') && type !== 'application/json';
  const content = response.content?.[type] ?? (raw ? Object.values(response.content ?? {})[0] : undefined);
  if (!response.content) {
    if (answer.size > 0) out.push(`a body of ${answer.size} bytes where there is none`);
  } else if (!content) {
    out.push(`the content type '${type}' is not described`);
  } else if (type === 'application/json') {
    out.push(...description.judge(content.schema, answer.body));
    const links = ['@odata.nextLink', '@odata.deltaLink'].filter((name) => answer.body?.[name]);
    if (answer.status === 200 && operation.template.endsWith('/delta') && links.length !== 1) out.push(`${links.length} links on a page of delta`);
  }
  return out.map((one) => `${answer.method} ${operation.template} ${answer.status}: ${one}`);
}
