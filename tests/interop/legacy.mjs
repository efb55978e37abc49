// npm `@modelcontextprotocol/sdk` 1.x over either of its transports: it begins with `initialize`.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import {
  CallToolResultSchema,
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ErrorCode,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  McpError,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { answers, capabilities } from './live.mjs';

const NOTICES = {
  'notifications/message': LoggingMessageNotificationSchema,
  'notifications/resources/updated': ResourceUpdatedNotificationSchema,
  'notifications/tools/list_changed': ToolListChangedNotificationSchema,
};

/** Connects over `transport`, and speaks of the library as walk.mjs wants it. */
export async function connect(name, transport) {
  const client = new Client({ name, version: '1.0.0' }, { capabilities });
  client.setRequestHandler(ElicitRequestSchema, (request) => answers.elicitation(request.params));
  client.setRequestHandler(CreateMessageRequestSchema, () => answers.sampling());
  client.setRequestHandler(ListRootsRequestSchema, () => answers.roots());
  await client.connect(transport);
  return {
    client,
    errorClass: McpError,
    call: (params, options) => client.callTool(params, CallToolResultSchema, options),
    onNotice: (method, handler) => client.setNotificationHandler(NOTICES[method], handler),
    isCancelled: (error) => error instanceof McpError && error.code === ErrorCode.RequestTimeout,
    // Log messages come on every call once a level is set.
    askForLogs: async (level) => (await client.setLoggingLevel(level), {}),
    async watch(uri) {
      await client.subscribeResource({ uri });
      return () => client.unsubscribeResource({ uri });
    },
  };
}
