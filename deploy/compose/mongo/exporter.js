// The user of mongo-exporter, who may look at the server. The image runs this once, on an empty volume; for an older one:
//   docker compose exec mongo mongosh --quiet /docker-entrypoint-initdb.d/exporter.js
const read = (name) => require("fs").readFileSync(`/run/secrets/${name}`, "utf8").trim();
const admin = db.getSiblingDB("admin");
admin.auth("root", read("root_password"));
const roles = [{ role: "clusterMonitor", db: "admin" }, { role: "read", db: "local" }];
const given = { pwd: read("exporter_password"), roles };
admin.getUser("exporter") ? admin.updateUser("exporter", given) : admin.createUser({ user: "exporter", ...given });
