// Shows /openapi.json. Text is set as text, never as HTML.
"use strict";

const make = (name, text, ...children) => {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
};

const typeOf = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  const one = schema.oneOf || schema.anyOf || schema.allOf;
  if (one) return one.map(typeOf).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(", ");
  const types = [].concat(schema.type || "any");
  return types.map((type) => (type === "array" ? `list of ${typeOf(schema.items)}` : type)).join(" or ");
};

const table = (head, rows) => {
  const cells = (name, row) => make("tr", "", ...row.map((text) => make(name, text)));
  return make("table", "", make("thead", "", cells("th", head)), make("tbody", "", ...rows.map((row) => cells("td", row))));
};

const curl = (method, path, operation) => {
  const query = (operation.parameters || [])
    .filter((parameter) => parameter.in === "query" && (parameter.required || parameter.example))
    .map((parameter) => `${parameter.name}=${encodeURIComponent(parameter.example || parameter.name)}`);
  const url = location.origin + path + (query.length ? `?${query.join("&")}` : "");
  const auth = operation.security ? " -H \"Authorization: Bearer $TOKEN\"" : "";
  return `curl${method === "post" ? " -X POST" : ""}${auth} '${url}'`;
};

const operation = (method, path, found) => {
  const section = make("section", "", make("h3", `${method.toUpperCase()} ${path}`), make("p", found.summary));
  if (found.description) section.append(make("p", found.description));
  const parameters = found.parameters || [];
  if (parameters.length) {
    const rows = parameters.map((parameter) => [
      parameter.name,
      `${parameter.in}${parameter.required ? ", required" : ""}`,
      typeOf(parameter.schema),
      parameter.description || "",
    ]);
    section.append(table(["parameter", "where", "type", "meaning"], rows));
  }
  const answers = Object.entries(found.responses || {}).map(([status, response]) => [
    status,
    Object.entries(response.content || {}).map(([media, content]) => `${media}: ${typeOf(content.schema)}`).join("; "),
    response.description,
  ]);
  section.append(table(["status", "body", "meaning"], answers), make("pre", "", make("code", curl(method, path, found))));
  return section;
};

const schema = (name, found) => {
  const details = make("details", "", make("summary", name));
  if (found.description) details.append(make("p", found.description));
  const properties = [found].concat(found.allOf || []).flatMap((part) => Object.entries(part.properties || {}));
  const rows = properties.map(([property, of]) => [property, typeOf(of), of.description || ""]);
  details.append(rows.length ? table(["field", "type", "meaning"], rows) : make("p", typeOf(found)));
  return details;
};

fetch("/openapi.json")
  .then((response) => response.json())
  .then((api) => {
    const about = document.getElementById("about");
    about.textContent = `${api.info.description} Version ${api.info.version}, OpenAPI ${api.openapi}.`;
    const methods = ["get", "post", "put", "delete"];
    for (const tag of api.tags || []) {
      document.getElementById("paths").append(make("h2", tag.description));
      for (const [path, item] of Object.entries(api.paths)) {
        for (const method of methods.filter((name) => item[name] && item[name].tags.includes(tag.name))) {
          document.getElementById("paths").append(operation(method, path, item[method]));
        }
      }
    }
    const schemas = Object.entries(api.components.schemas);
    document.getElementById("schemas").append(...schemas.map(([name, found]) => schema(name, found)));
  })
  .catch((error) => {
    document.getElementById("about").textContent = `openapi.json cannot be shown: ${error}`;
  });
