// What happens while a call runs or between calls: progress, changes, cancelling, questions to the client, log messages.
//
// The libraries differ in how they spell these, so a connection brings:
//   call(params, options)      calls a tool; `options` are the library's own
//   onNotice(method, handler)  handles notifications of one kind
//   watch(uri)                 asks for changes of `uri` and of the list of tools; resolves to a function that ends it
//   isCancelled(error)         whether this is how the library reports that its user cancelled a request
//   askForLogs(level)          resolves to the `_meta` of a call that log messages are wanted for

import assert from 'node:assert/strict';

/** How long a notice may take. */
const PATIENCE_MS = 20_000;

/** Longer than any test waits, and shorter than the agent's deadline. */
const SLEEP_MS = 30_000;

/** What the client can be asked. */
export const capabilities = { elicitation: {}, sampling: {}, roots: {} };

const PERSON = { username: 'ada', email: 'ada@example.org', name: 'Ada', color: 'green' };

/** What the client answers: each field of a form that PERSON knows, one word of a model, one directory. */
export const answers = {
  elicitation({ requestedSchema }) {
    const fields = Object.keys(requestedSchema.properties);
    return { action: 'accept', content: Object.fromEntries(fields.map((field) => [field, PERSON[field]])) };
  },
  sampling: () => ({ role: 'assistant', model: 'interop', content: { type: 'text', text: 'Paris' } }),
  roots: () => ({ roots: [{ uri: 'file:///workspace', name: 'workspace' }] }),
};

export async function live(connection, name, uri) {
  return {
    progress: await progress(connection, name('test_tool_with_progress')),
    ...(await changes(connection, name, uri('test://watched-resource'))),
    cancelled: await cancel(connection, name),
    answered: await answered(connection, name, uri),
    logged: await logged(connection, name('test_tool_with_logging')),
  };
}

/** Some of 0, 50 and 100 in this order; of those that follow close upon each other the last one counts. */
async function progress({ call }, name) {
  const seen = [];
  await call({ name, arguments: {} }, { onprogress: ({ progress, total }) => seen.push([progress, total]) });
  const steps = seen.map(([step]) => step);
  assert.deepEqual(steps, [0, 50, 100].filter((step) => steps.includes(step)), `rising progress: ${steps}`);
  assert.equal(steps.at(-1), 100, `the last progress is the whole: ${steps}`);
  for (const [, total] of seen) assert.equal(total, 100, 'the total is told each time');
  return steps;
}

async function changes({ call, onNotice, watch }, name, watched) {
  const updates = inbox();
  const lists = inbox();
  onNotice('notifications/resources/updated', ({ params }) => updates.put(params.uri));
  onNotice('notifications/tools/list_changed', () => lists.put('tools'));
  const end = await watch(watched);

  await call({ name: name('trigger_watched_change'), arguments: {} });
  const updated = await updates.take('notice of a changed resource');
  assert.equal(updated, watched, 'the resource that was asked for');
  await call({ name: name('test_trigger_tool_change'), arguments: {} });
  const listChanged = await lists.take('notice of a changed list of tools');

  await end();
  // A host that still counts this client among the listeners must not fail for it.
  await call({ name: name('trigger_watched_change'), arguments: {} });
  return { updated, listChanged };
}

/** The call must have begun, which its first progress shows; then one that waits for its place must get it. */
async function cancel({ call, isCancelled }, name) {
  const begun = inbox();
  const abort = new AbortController();
  const options = { signal: abort.signal, onprogress: ({ progress }) => begun.put(progress) };
  const running = call({ name: name('sleep'), arguments: { ms: SLEEP_MS } }, options).then(
    (result) => assert.fail(`not cancelled: ${JSON.stringify(result)}`),
    (error) => error,
  );
  // A call that fails has no progress to wait for.
  await Promise.race([begun.take('progress of a sleeping call'), running.then((error) => Promise.reject(error))]);
  abort.abort('the person lost patience');
  const error = await running;
  assert.ok(isCancelled(error), `cancelled, not ${error}`);
  const { isError } = await call({ name: name('test_simple_text'), arguments: {} });
  assert.ok(!isError, 'the agent serves the next call');
  return error.message;
}

/** Every kind of question, two rounds of them, and one that a read asks. */
async function answered({ call, client }, name, uri) {
  const ask = async (tool, args, wanted) => {
    const { content, isError } = await call({ name: name(tool), arguments: args });
    const [{ text }] = content;
    assert.ok(!isError && text.includes(wanted), `${tool} repeats the answer "${wanted}": ${text}`);
    return text;
  };
  const { contents } = await client.readResource({ uri: uri('test://personal') });
  assert.equal(contents[0].text, 'The copy of Ada.', 'a read repeats the answer');
  return [
    await ask('test_elicitation', { message: 'Who are you?' }, '"username":"ada"'),
    await ask('test_input_required_result_elicitation', {}, 'Hello, Ada!'),
    await ask('test_sampling', { prompt: 'What is the capital of France?' }, 'Paris'),
    await ask('test_input_required_result_list_roots', {}, 'file:///workspace'),
    await ask('test_input_required_result_multiple_inputs', {}, 'Paris Ada works in file:///workspace'),
    await ask('test_input_required_result_multi_round', {}, 'Ada likes green'),
    contents[0].text,
  ];
}

/** The messages of one call, in their order. */
async function logged({ call, onNotice, askForLogs }, name) {
  const messages = inbox();
  onNotice('notifications/message', ({ params }) => messages.put(params));
  const _meta = await askForLogs('info');
  await call({ name, arguments: {}, _meta });
  const seen = [];
  while (seen.length < 3) seen.push(await messages.take(`log message ${seen.length + 1} of 3`));
  for (const { level } of seen) assert.equal(level, 'info');
  return seen.map(({ data }) => data);
}

/** Values put in by a handler and taken out, in their order, by who waits for them. */
function inbox() {
  const values = [];
  let wake = () => {};
  return {
    put(value) {
      values.push(value);
      wake();
    },
    async take(what) {
      const late = AbortSignal.timeout(PATIENCE_MS);
      while (values.length === 0) {
        assert.ok(!late.aborted, `no ${what} within ${PATIENCE_MS} ms`);
        await new Promise((resolve) => {
          wake = resolve;
          late.onabort = resolve;
        });
      }
      return values.shift();
    },
  };
}
