// The client that most hosts still embed: npm `@modelcontextprotocol/sdk` 1.x, which begins with `initialize`.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpError } from '@modelcontextprotocol/sdk/types.js';
import assert from 'node:assert/strict';
import { main } from './walk.mjs';

await main(async (url) => {
  const client = new Client({ name: 'stockade-interop-sdk1', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(url);
  await client.connect(transport);
  assert.equal(transport.protocolVersion, '2025-11-25', 'the newest revision this client speaks');
  return { client, revision: transport.protocolVersion, errorClass: McpError };
});
