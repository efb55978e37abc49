// The current TypeScript client: npm `@modelcontextprotocol/client` 2.x, which begins with `server/discover`.

import {
  Client,
  LOG_LEVEL_META_KEY,
  ProtocolError,
  SdkError,
  SdkErrorCode,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client';
import assert from 'node:assert/strict';
import { answers, capabilities } from './live.mjs';
import { main } from './walk.mjs';

await main(async (url) => {
  const client = new Client(
    { name: 'stockade-interop-client2', version: '1.0.0' },
    { capabilities, versionNegotiation: { mode: 'auto' } },
  );
  client.setRequestHandler('elicitation/create', (request) => answers.elicitation(request.params));
  client.setRequestHandler('sampling/createMessage', () => answers.sampling());
  client.setRequestHandler('roots/list', () => answers.roots());
  await client.connect(new StreamableHTTPClientTransport(url));
  const revision = client.getNegotiatedProtocolVersion();
  assert.equal(revision, '2026-07-28', 'the newest revision this client speaks, without falling back');
  return {
    client,
    revision,
    errorClass: ProtocolError,
    call: (params, options) => client.callTool(params, options),
    onNotice: (method, handler) => client.setNotificationHandler(method, handler),
    isCancelled: (error) => error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout,
    // Log messages come only for a request that asks for them.
    askForLogs: (level) => ({ [LOG_LEVEL_META_KEY]: level }),
    async watch(uri) {
      const wanted = { toolsListChanged: true, resourceSubscriptions: [uri] };
      const subscription = await client.listen(wanted);
      assert.deepEqual(subscription.honoredFilter, wanted, 'the host grants what was asked for');
      return async () => {
        await subscription.close();
        assert.equal(await subscription.closed, 'local', 'the subscription lasts until the client ends it');
      };
    },
  };
});
