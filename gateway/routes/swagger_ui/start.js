// A key that is typed in is kept in this page only, and nothing is sent to another server.
// The API is where this page is, also where a front puts both under a prefix.
const spec = await (await fetch("openapi.json")).json();

/** Leave a form's field empty unless the schema gives a value: Swagger UI would make one up, and send it. */
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
