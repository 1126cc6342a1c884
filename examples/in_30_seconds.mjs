// Schedules a message for 30 seconds from now, with the fetch of Node 20 or newer.

const base = (process.env.TASK_SCHEDULER_URL || "http://127.0.0.1:8000").replace(/\/+$/, "");
const secret = process.env.TASK_SCHEDULER_SECRET;

async function schedule(task) {
  const response = await fetch(`${base}/schedule`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(secret && { "x-pd-secret": secret }) },
    body: JSON.stringify(task),
    signal: AbortSignal.timeout(30_000),
  });
  const answer = await response.json().catch(() => ({})); // a proxy may answer something else than JSON
  if (!response.ok) throw new Error(answer.errors?.join(" ") ?? `the answer was ${response.status}`);
  return answer;
}

try {
  const { id, timestamp } = await schedule({ in: "30s", message: { text: "Hello from Node" } });
  console.log(`Task ${id} will be emitted at ${timestamp}.`);
} catch (error) {
  // fetch says "fetch failed", and why in the cause.
  console.error(`Nothing was scheduled: ${error.cause?.message || error.cause?.code || error.message}`);
  process.exitCode = 1;
}
