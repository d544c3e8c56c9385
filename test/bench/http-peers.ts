/** nginx and apache2 as an operator would set them up to serve boot files fast: one core, no log of requests. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ProvisioningVlan } from "@netboot6/lab";
import { freshDir, type Server, start } from "./servers.ts";

/** The same for all: as many machines as come may wait to be accepted. */
const BACKLOG = 4096;

/** `locations`: more of its server block. */
export const nginx = (vlan: ProvisioningVlan, root: string, locations = ""): Server => ({
  name: "nginx",
  async start() {
    const dir = freshDir(vlan, "nginx");
    const file = join(dir, "nginx.conf");
    writeFileSync(
      file,
      `daemon off;
user root;
worker_processes 1;
pid ${join(dir, "pid")};
error_log stderr error;
events { worker_connections 8192; }
http {
  types { application/efi efi; text/plain ipxe txt; }
  default_type application/octet-stream;
  access_log off;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=1000 inactive=60s;
  keepalive_requests 1000000000;
  server {
    listen [${vlan.address}]:80 backlog=${BACKLOG};
    root ${root};
    ${locations}
  }
}
`,
    );
    vlan.server.sysctl({ "core/somaxconn": BACKLOG });
    return start(vlan.server, ["nginx", "-c", file], null, join(dir, "log"));
  },
});

export const apache2 = (vlan: ProvisioningVlan, root: string): Server => ({
  name: "apache2",
  async start() {
    const dir = freshDir(vlan, "apache2");
    const file = join(dir, "apache2.conf");
    const modules = ["mpm_event", "authz_core", "mime"].map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`);
    writeFileSync(
      file,
      `${modules.join("\n")}
ServerRoot ${dir}
ServerName boot.lab
PidFile ${join(dir, "pid")}
ErrorLog ${join(dir, "error")}
Listen [${vlan.address}]:80
ListenBacklog ${BACKLOG}
StartServers 1
ServerLimit 16
ThreadsPerChild 64
MaxRequestWorkers 1024
MaxKeepAliveRequests 0
KeepAliveTimeout 60
EnableSendfile on
DocumentRoot ${root}
TypesConfig /dev/null
<Directory ${root}>
  Require all granted
</Directory>
`,
    );
    return start(vlan.server, ["apache2", "-D", "FOREGROUND", "-f", file], null, join(dir, "log"));
  },
});
