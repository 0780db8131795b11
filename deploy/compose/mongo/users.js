// Run once by the image, on an empty volume: the user of the gateway and the workers, who may use one database.
const password = require("fs").readFileSync("/run/secrets/darkroom_password", "utf8").trim();
db.getSiblingDB("darkroom").createUser({
  user: "darkroom",
  pwd: password,
  roles: [{ role: "readWrite", db: "darkroom" }],
});
