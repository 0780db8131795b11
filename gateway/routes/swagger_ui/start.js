// An API key that the user enters stays in this page. Nothing is sent to another server.
// The API has the same address as this page, also when a reverse proxy puts both under a prefix.
const spec = await (await fetch("openapi.json")).json();

/** Leave a form's field empty unless the schema has a value for it: Swagger UI would invent one and send it. */
const emptyFields = ({ fn: { getSampleSchema } }) => ({
  fn: {
    getSampleSchema(schema, mediaType, ...rest) {
      const isField = mediaType === false && schema?.get;
      const isGiven = schema?.has?.("default") || schema?.has?.("example");
      return isField && !isGiven ? "" : getSampleSchema(schema, mediaType, ...rest);
    },
  },
});

SwaggerUIBundle({
  spec: { ...spec, servers: [{ url: new URL(".", document.baseURI).href.replace(/\/$/, "") }] },
  dom_id: "#swagger-ui",
  plugins: [emptyFields],
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
  persistAuthorization: false,
});
