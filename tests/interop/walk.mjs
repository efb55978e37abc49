// What the TypeScript clients do with a host that serves agent `everything`, and what they must see.
//
// A client prints one line of JSON with what it saw and exits 0, or prints the first surprise and exits 1.

import assert from 'node:assert/strict';
import { live } from './live.mjs';

const INVALID_PARAMS = -32602;
const RESOURCE_NOT_FOUND_BEFORE_2026 = -32002;
const PNG_SIGNATURE = '89504e470d0a1a0a';
// More pages than any fixture has: a cursor that never ends is a failure, not a hang.
const PAGES_MAX = 100;

/**
 * Runs `connect(url)`, then the walk, and reports. `connect` resolves to `{client, revision, errorClass}`, what live.mjs
 * needs, and where there is a session to end `end()`.
 */
export async function main(connect) {
  const [url, prefix = ''] = process.argv.slice(2);
  if (!url) {
    console.error('usage: node CLIENT.mjs URL [AGENT]');
    process.exit(2);
  }
  try {
    const connection = await connect(new URL(url));
    // The names on the shared endpoint carry the agent; on the agent's own endpoint they are plain.
    const name = (plain) => (prefix ? `${prefix}__${plain}` : plain);
    const uri = (plain) => (prefix ? `${prefix}+${plain}` : plain);
    const seen = { ...(await walk(connection, name, uri)), ...(await live(connection, name, uri)) };
    await connection.end?.();
    await connection.client.close();
    console.log(JSON.stringify(seen));
  } catch (surprise) {
    console.error(surprise);
    process.exit(1);
  }
}

async function walk({ client, revision, errorClass }, name, uri) {
  const lists = await listAll(client);
  const { tools, resources, templates, prompts } = lists;
  for (const tool of tools) assert.equal(tool.inputSchema.type, 'object', `tool ${tool.name} takes an object`);
  includes(tools.map((tool) => tool.name), name('test_simple_text'));
  includes(prompts.map((prompt) => prompt.name), name('test_prompt_with_arguments'));
  includes(resources.map((resource) => resource.uri), uri('test://static-text'));
  includes(resources.map((resource) => resource.uri), uri('test://static-binary'));
  includes(templates.map((template) => template.uriTemplate), uri('test://template/{id}/data'));

  const legacy = revision < '2026';
  const missing = legacy ? [INVALID_PARAMS, RESOURCE_NOT_FOUND_BEFORE_2026] : [INVALID_PARAMS];
  return {
    revision,
    server: client.getServerVersion()?.name,
    tools: tools.length,
    resources: resources.length,
    templates: templates.length,
    prompts: prompts.length,
    pages: lists.pages,
    text: await readText(client, uri('test://static-text'), 'text/plain'),
    binaryBytes: await readPng(client, uri('test://static-binary')),
    template: await readText(client, uri('test://template/123/data'), 'application/json', '123'),
    tool: await callSimpleText(client, name('test_simple_text')),
    toolError: await callFailing(client, name('test_error_handling')),
    prompt: await getPrompt(client, name('test_prompt_with_arguments')),
    completion: await complete(client, name('test_prompt_with_arguments')),
    unknownTool: await refusal(errorClass, [INVALID_PARAMS], () => client.callTool({ name: name('no_such_tool') })),
    unknownResource: await refusal(errorClass, missing, () => client.readResource({ uri: uri('test://no-such') })),
  };
}

async function listAll(client) {
  const pages = {};
  // Client 2 turns the pages itself, so that it sees one; client 1 leaves that to us.
  const all = async (key, list, field = key) => {
    const items = [];
    let cursor = undefined;
    pages[key] = 0;
    do {
      const page = await list(cursor === undefined ? undefined : { cursor });
      items.push(...page[field]);
      cursor = page.nextCursor;
      pages[key] += 1;
      assert.ok(pages[key] <= PAGES_MAX, `${key} do not end after ${PAGES_MAX} pages`);
    } while (cursor !== undefined);
    const identities = items.map((item) => item.uri ?? item.uriTemplate ?? item.name);
    assert.equal(new Set(identities).size, items.length, `${key} are listed once each: ${identities}`);
    return items;
  };
  return {
    tools: await all('tools', (page) => client.listTools(page)),
    resources: await all('resources', (page) => client.listResources(page)),
    templates: await all('templates', (page) => client.listResourceTemplates(page), 'resourceTemplates'),
    prompts: await all('prompts', (page) => client.listPrompts(page)),
    pages,
  };
}

async function readOne(client, uri, mimeType) {
  const { contents } = await client.readResource({ uri });
  assert.equal(contents.length, 1, `${uri} has one content`);
  assert.equal(contents[0].uri, uri);
  assert.equal(contents[0].mimeType, mimeType, `media type of ${uri}`);
  return contents[0];
}

async function readText(client, uri, mimeType, part = '') {
  const { text } = await readOne(client, uri, mimeType);
  assert.ok(text && text.includes(part), `${uri} holds "${part}": ${text}`);
  return text;
}

async function readPng(client, uri) {
  const { blob } = await readOne(client, uri, 'image/png');
  const bytes = Buffer.from(blob, 'base64');
  assert.equal(bytes.subarray(0, 8).toString('hex'), PNG_SIGNATURE, `${uri} is a PNG`);
  return bytes.length;
}

async function callSimpleText(client, name) {
  const { content, isError } = await client.callTool({ name, arguments: {} });
  assert.ok(!isError, `${name} succeeds`);
  assert.equal(content.length, 1);
  assert.equal(content[0].type, 'text');
  assert.ok(content[0].text, `${name} answers with text`);
  return content[0].text;
}

async function callFailing(client, name) {
  const { content, isError } = await client.callTool({ name, arguments: {} });
  assert.equal(isError, true, `${name} reports its failure as a result`);
  return content[0].text;
}

async function getPrompt(client, name) {
  const { messages } = await client.getPrompt({ name, arguments: { arg1: 'first', arg2: 'second' } });
  const text = messages.map((message) => message.content.text).join('\n');
  assert.ok(text.includes('first') && text.includes('second'), `${name} repeats its arguments: ${text}`);
  return text;
}

async function complete(client, name) {
  const { completion } = await client.complete({
    ref: { type: 'ref/prompt', name },
    argument: { name: 'arg1', value: 'par' },
  });
  assert.ok(Array.isArray(completion.values) && completion.values.length <= 100, 'at most 100 values');
  for (const value of completion.values) assert.ok(value.startsWith('par'), `"${value}" completes "par"`);
  return completion.values;
}

async function refusal(errorClass, codes, call) {
  const error = await call().then((result) => assert.fail(`not refused: ${JSON.stringify(result)}`), (e) => e);
  assert.ok(error instanceof errorClass, `a protocol error, not ${error}`);
  includes(codes, error.code);
  return error.code;
}

function includes(list, wanted) {
  assert.ok(list.includes(wanted), `${wanted} is missing from ${JSON.stringify(list)}`);
}
