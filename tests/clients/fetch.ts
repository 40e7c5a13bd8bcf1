// openapi-typescript and openapi-fetch: types of the document, and a fetch that keeps to them.
import createClient from "openapi-fetch";
import type { paths } from "./schema";

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
  const api = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });
  const body = { projectName: "Apollo", clientName: "Acme", description: "To the moon" };
  const once = { header: { "Idempotency-Key": "fetch-flat" } };
  const made = await api.POST("/projects", { body, params: once });
  const again = await api.POST("/projects", { body, params: once });
  const project = given(made.data);
  check("made", [made.response.status, again.data], [201, project]);
  check("replayed", again.response.headers.get("Idempotent-Replayed"), "true");
  const path = { id: project._id };
  for (const name of ["Design", "Build"]) {
    const task = { name, description: "A rocket", phase: "business" as const };
    check(name, (await api.POST("/projects/{id}/tasks", { params: { path }, body: task })).response.status, 201);
  }
  const first = await api.GET("/projects/{id}/tasks", { params: { path, query: { limit: 1 } } });
  const next = given(/<([^>]+)>; rel="next"/.exec(given(first.response.headers.get("Link"))));
  const cursor = given(new URL(given(next[1])).searchParams.get("cursor"));
  const second = await api.GET("/projects/{id}/tasks", { params: { path, query: { limit: 1, cursor } } });
  const [design, build] = [...given(first.data), ...given(second.data)];
  check("pages", [design?.name, build?.name], ["Design", "Build"]);
  const task = { id: project._id, task_id: given(design)._id };
  const moved = await api.PATCH("/projects/{id}/tasks/{task_id}/phase", {
    params: { path: task },
    body: { phase: "modeling" },
  });
  check("patched", moved.data?.phase, "modeling");
  const current = await api.GET("/projects/{id}", { params: { path } });
  const version = { "If-Match": given(current.response.headers.get("ETag")) };
  const put = { params: { path, header: version }, body: { ...body, projectName: "Gemini" } };
  check("changed", (await api.PUT("/projects/{id}", put)).data?.projectName, "Gemini");
  const late = await api.PUT("/projects/{id}", put);
  check("late", [late.response.status, typeof late.error?.error], [412, "string"]);
  check("deleted", (await api.DELETE("/projects/{id}", { params: { path } })).response.status, 200);
  check("gone", (await api.GET("/projects/{id}", { params: { path } })).response.status, 404);
}

async function v1(): Promise<void> {
  const api = createClient<paths>({ baseUrl: url, headers: { "X-API-Key": key } });
  const me = given((await api.GET("/v1/me")).data);
  const { space_id } = given(me.spaces.find((space) => space.is_default));
  const projects = "/v1/spaces/{space_id}/projects";
  const made = [];
  for (const name of ["Apollo", "Gemini"]) {
    const body = { name, description: { summary: "To the moon", stages: [3, { fuel: "LOX" }] } };
    made.push(given((await api.POST(projects, { params: { path: { space_id } }, body })).data));
  }
  check("description", made[0]?.description, { summary: "To the moon", stages: [3, { fuel: "LOX" }] });
  const found: string[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const query = cursor === undefined ? { limit: 1 } : { limit: 1, cursor };
    const page = given((await api.GET(projects, { params: { path: { space_id }, query } })).data);
    found.push(...page.data.map((each) => each.id));
    cursor = page.meta.next_cursor;
  }
  check("paged", made.every((each) => found.includes(each.id)), true);
  for (const { id } of made) {
    const path = { space_id, project_id: id };
    const one = `${projects}/{project_id}` as const;
    const read = await api.GET(one, { params: { path } });
    const header = { "If-Match": given(read.response.headers.get("ETag")) };
    const changed = await api.PATCH(one, { params: { path, header }, body: { description: "Around the earth" } });
    check("patched", [changed.response.status, changed.data?.description], [200, "Around the earth"]);
    const nobody = await api.POST(`${one}/members` as const, { params: { path }, body: { principal_id: id, role_id: id } });
    check("refused", [nobody.response.status, Array.isArray(nobody.error?.detail)], [422, true]);
    check("deleted", (await api.DELETE(one, { params: { path } })).response.status, 204);
    check("gone", (await api.GET(one, { params: { path } })).response.status, 404);
  }
}

void flat().then(v1);
