import { type Answer, type Operation, operations } from "./operations.ts";

/** The OpenAPI 3.1 document of the API: https://spec.openapis.org/oas/v3.1.0 */
export function openApiDocument(version: string): Readonly<Record<string, unknown>> {
  const paths: Record<string, Record<string, unknown>> = {};
  const all: readonly Operation[] = operations;
  for (const operation of all.filter(({ isPages }) => isPages === undefined)) {
    const path = paths[operation.path] ?? {};
    path[operation.method.toLowerCase()] = operationObject(operation);
    paths[operation.path] = path;
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "automc-router",
      version,
      description: "The API of automc-router. Refusals are problems as of RFC 9457.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "http://127.0.0.1:8080" }],
    paths,
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      schemas: { Problem: problemSchema },
    },
  };
}

const problemSchema = {
  type: "object",
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
  },
  required: ["type", "title", "status", "detail"],
};

function operationObject(operation: Operation): Readonly<Record<string, unknown>> {
  const { id, access, summary, query, body, answers, path } = operation;
  const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const asked = Object.entries(query ?? {}).map(([name, { required, about }]) => ({
    name,
    in: "query",
    required,
    description: about,
    schema: { type: "string" },
  }));
  const responses = Object.entries(answers).map(([status, answer]) => [
    status,
    responseObject(Number(status), answer),
  ]);
  return {
    operationId: id,
    summary,
    security: access === "open" ? [] : [{ token: [] }],
    ...(named.length + asked.length > 0 && { parameters: [...named, ...asked] }),
    ...(body !== undefined && {
      requestBody: { required: true, content: { "application/json": { schema: body } } },
    }),
    responses: {
      ...Object.fromEntries(responses),
      default: { description: "A refusal.", content: problemContent },
    },
  };
}

const problemContent = {
  "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } },
};

function responseObject(
  status: number,
  { about, schema, media = "application/json" }: Answer,
): Readonly<Record<string, unknown>> {
  if (status >= 400) return { description: about, content: problemContent };
  if (schema === undefined) return { description: about };
  return { description: about, content: { [media]: { schema } } };
}
