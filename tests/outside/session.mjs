// A session of one of the two TypeScript SDKs: it calls each tool that a line of standard input names.
// node session.mjs FOLDER older|newer ADDRESS; the token is in TEAMROOM_TOKEN.

import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [folder, library, address] = process.argv.slice(2);
const paths = {
  older: ["@modelcontextprotocol/sdk/client/index.js", "@modelcontextprotocol/sdk/client/streamableHttp.js"],
  newer: ["@modelcontextprotocol/client", "@modelcontextprotocol/client"],
}[library];
const { resolve } = createRequire(join(folder, "session.cjs"));
const [{ Client }, { StreamableHTTPClientTransport }] = await Promise.all(
  paths.map((path) => import(pathToFileURL(resolve(path)).href)),
);

const headers = { Authorization: `Bearer ${process.env.TEAMROOM_TOKEN}` };
const transport = new StreamableHTTPClientTransport(new URL(address), { requestInit: { headers } });
const client = new Client({ name: library, version: "0" });
await client.connect(transport);

for await (const tool of createInterface({ input: process.stdin })) {
  const { isError, structuredContent } = await client.callTool({ name: tool, arguments: {} });
  console.log(JSON.stringify({ session: transport.sessionId, refused: isError ?? false, standing: structuredContent.standing }));
}
await client.close();
