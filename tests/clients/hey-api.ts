// hey-api: a function for each operation, whose requests and answers zod holds against the document.
import { client } from "./hey-api/client.gen";
import {
  createProject,
  createTask,
  deleteProject,
  getProject,
  listTasks,
  setTaskPhase,
  v1CreateProject,
  v1DeleteProject,
  v1GetMe,
  v1GetProject,
  v1ListProjects,
  v1UpdateProject,
} from "./hey-api/sdk.gen";

declare const process: { argv: string[] };
const [url = "", token = "", key = ""] = process.argv.slice(2);

function check(what: string, is: unknown, expected: unknown): void {
  if (JSON.stringify(is) !== JSON.stringify(expected))
    throw new Error(`${what}: ${JSON.stringify(is)}, expected ${JSON.stringify(expected)}`);
}

function given<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error("nothing was given");
  return value;
}

async function flat(): Promise<void> {
  // It asks for each scheme of the document, and sends what it is given for all of them: one secret, in both headers.
  client.setConfig({ baseUrl: url, auth: () => token });
  const body = { projectName: "Apollo", clientName: "Acme", description: "To the moon" };
  const headers = { "Idempotency-Key": "hey-api-flat" };
  const made = await createProject({ body, headers, throwOnError: true });
  const again = await createProject({ body, headers, throwOnError: true });
  check("replayed", [again.data, again.response.headers.get("Idempotent-Replayed")], [made.data, "true"]);
  const path = { id: made.data._id };
  for (const name of ["Design", "Build"])
    await createTask({ path, body: { name, description: "A rocket", phase: "business" }, throwOnError: true });
  const first = await listTasks({ path, query: { limit: 1 }, throwOnError: true });
  const next = given(/<([^>]+)>; rel="next"/.exec(given(first.response.headers.get("Link"))));
  const cursor = given(new URL(given(next[1])).searchParams.get("cursor"));
  const second = await listTasks({ path, query: { limit: 1, cursor }, throwOnError: true });
  check("pages", [...first.data, ...second.data].map((task) => task.name), ["Design", "Build"]);
  const task = { ...path, task_id: given(first.data[0])._id };
  const moved = await setTaskPhase({ path: task, body: { phase: "modeling" }, throwOnError: true });
  check("patched", moved.data.phase, "modeling");
  check("deleted", (await deleteProject({ path, throwOnError: true })).response.status, 200);
  const gone = await getProject({ path });
  check("gone", [gone.response?.status, gone.error], [404, { error: "Project not found." }]);
}

async function v1(): Promise<void> {
  client.setConfig({ auth: () => key });
  const me = (await v1GetMe({ throwOnError: true })).data;
  check("kind", me.kind, "user");
  const { space_id } = given(me.spaces.find((space) => space.is_default));
  const description = { summary: "To the moon", stages: [3, { fuel: "LOX" }] };
  const made = [];
  for (const name of ["Apollo", "Gemini"])
    made.push((await v1CreateProject({ path: { space_id }, body: { name, description }, throwOnError: true })).data);
  check("description", made[0]?.description, description);
  const found: string[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const query = cursor === undefined ? { limit: 1 } : { limit: 1, cursor };
    const page = (await v1ListProjects({ path: { space_id }, query, throwOnError: true })).data;
    found.push(...page.data.map((each) => each.id));
    cursor = page.meta.next_cursor;
  }
  check("paged", made.every((each) => found.includes(each.id)), true);
  for (const { id } of made) {
    const path = { space_id, project_id: id };
    const read = await v1GetProject({ path, throwOnError: true });
    const headers = { "If-Match": given(read.response.headers.get("ETag")) };
    const changed = await v1UpdateProject({ path, headers, body: { description: null }, throwOnError: true });
    check("patched", changed.data.description, null);
    check("late", (await v1UpdateProject({ path, headers, body: { name: "Gemini" } })).response?.status, 412);
    check("deleted", (await v1DeleteProject({ path, throwOnError: true })).response.status, 204);
    check("gone", (await v1GetProject({ path })).response?.status, 404);
  }
}

void flat().then(v1);
