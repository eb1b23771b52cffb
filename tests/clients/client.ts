// Calls the service with openapi-fetch, typed by what openapi-typescript has generated into schema.d.ts.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

function must<T>(answer: { data?: T; error?: components["schemas"]["Error"] }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

function check(holds: boolean, what: unknown): void {
  if (!holds) throw new Error(`unexpected: ${JSON.stringify(what)}`);
}

const baseUrl = `${process.env.KQUEEN_ORIGIN}/api/v1`;
const credentials = { username: "admin", password: "default" };
const token = must(await createClient<paths>({ baseUrl }).POST("/auth", { body: credentials })).access_token;
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

check(must(await client.GET("/users/whoami")).username === "admin", "whoami");
const organization = must(await client.POST("/organizations", { body: { name: "TypeScript", namespace: "typescript" } }));
const user = must(await client.POST("/users", {
  body: { username: "typescript", password: "correct horse", organization: `Organization:${organization.id}` },
}));
check(user.organization.name === "TypeScript", user);
const provisioner = must(await client.POST("/provisioners", { body: { name: "p", engine: "kqueen.engines.ManualEngine" } }));
const kubeconfig = {
  apiVersion: "v1", kind: "Config", "current-context": "c", users: [],
  clusters: [{ name: "c", cluster: { server: "http://127.0.0.1:1" } }],
  contexts: [{ name: "c", context: { cluster: "c", user: "" } }],
};
const cluster = must(await client.POST("/clusters", {
  body: { name: "typescript", provisioner: `Provisioner:${provisioner.id}`, kubeconfig },
}));
const page = must(await client.GET("/clusters", { params: { query: { offset: 0, limit: 1, name: "TYPESCRIPT" } } }));
check(!Array.isArray(page) && page.total === 1 && page.items[0]?.id === cluster.id, page);
const path = { id: cluster.id };
check(must(await client.PATCH("/clusters/{id}", { params: { path }, body: { name: "renamed" } })).name === "renamed", "rename");
const missing = await client.GET("/clusters/{id}", { params: { path: { id: "00000000-0000-4000-8000-000000000000" } } });
check(missing.error?.code === 404 && missing.error.error === "not_found", missing.error);
check(must(await client.DELETE("/clusters/{id}", { params: { path } })).state === "deleted", "delete");
console.log("ok");
