// Calls Vercel's SDK: each line of standard input is [URL, token, operation, request], each line of output its outcome.
// node vercel_sdk.mjs FOLDER_OF_THE_SDK
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { Vercel } = await import(pathToFileURL(`${process.argv[2]}/esm/index.js`));

for await (const line of createInterface({ input: process.stdin })) {
  const [serverURL, bearerToken, operation, request] = JSON.parse(line);
  const [group, name] = operation.split(".");
  const vercel = new Vercel({ serverURL, bearerToken, retryConfig: { strategy: "none" } });
  let outcome;
  try {
    outcome = { value: (await vercel[group][name](request)) ?? null };
  } catch (error) {
    const message = String(error.pretty?.() ?? error.message);
    outcome = { error: error.name, status: error.statusCode ?? 0, body: error.body ?? "", message };
  }
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
