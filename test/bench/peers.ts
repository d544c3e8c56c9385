/** What is measured beside ours, as an operator would set it up: one core, and no log of requests. */
import { join } from "node:path";
import { type ProvisioningVlan, SERVER_INTERFACE } from "@netboot6/lab";
import { configured, type Server } from "./servers.ts";

/** The same for all: as many machines as come may wait to be accepted. */
const BACKLOG = 4096;

/** `locations`: more of its server block. */
export const nginx = (vlan: ProvisioningVlan, root: string, locations = ""): Server =>
  configured(vlan, "nginx", (dir, file) => {
    vlan.server.sysctl({ "core/somaxconn": BACKLOG });
    return {
      text: `daemon off;
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
      argv: ["nginx", "-c", file],
    };
  });

export const apache2 = (vlan: ProvisioningVlan, root: string): Server =>
  configured(vlan, "apache2", (dir, file) => {
    const modules = ["mpm_event", "authz_core", "mime"].map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`);
    return {
      text: `${modules.join("\n")}
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
      argv: ["apache2", "-D", "FOREGROUND", "-f", file],
    };
  });

/** unbound for the VLAN, one thread, without validation. `options` are lines of its server clause; `clauses` follow it. */
export const unbound = (vlan: ProvisioningVlan, options: string, clauses = ""): Server =>
  configured(vlan, "unbound", (dir, file) => ({
    text: `server:
  interface: ${vlan.address}
  do-ip4: no
  verbosity: 0
  num-threads: 1
  so-rcvbuf: 4m
  module-config: "iterator"
  access-control: ${vlan.prefix}/64 allow
  username: ""
  chroot: ""
  use-syslog: no
  do-daemonize: no
  pidfile: "${join(dir, "pid")}"
${options}${clauses}remote-control:
  control-enable: no
`,
    argv: ["unbound", "-d", "-c", file],
  }));

/** `pool` of the VLAN's subnet; a memfile, which is not synced. */
export const kea = (vlan: ProvisioningVlan, pool: string, classes: readonly object[] = []): Server =>
  configured(vlan, "kea", (dir, file) => {
    const Dhcp6 = {
      "server-id": { type: "LL", persist: false },
      "interfaces-config": { interfaces: [SERVER_INTERFACE] },
      "lease-database": { type: "memfile", persist: true, name: join(dir, "leases.csv"), "lfc-interval": 3600 },
      "preferred-lifetime": 3000,
      "valid-lifetime": 4000,
      ...(classes.length > 0 ? { "client-classes": classes } : {}),
      "option-data": [
        { name: "dns-servers", data: vlan.address },
        { name: "preference", data: "255" },
      ],
      subnet6: [{ id: 1, subnet: `${vlan.prefix}/64`, interface: SERVER_INTERFACE, pools: [{ pool }] }],
      loggers: [{ name: "kea-dhcp6", severity: "WARN", output_options: [{ output: "stderr" }] }],
    };
    return {
      text: JSON.stringify({ Dhcp6 }),
      argv: ["kea-dhcp6", "-c", file],
      env: { ...process.env, KEA_PIDFILE_DIR: dir, KEA_LOCKFILE_DIR: "none" },
    };
  });

/** O=1, as ours says by default. `options`: more of its interface clause. */
export const radvd = (vlan: ProvisioningVlan, options = ""): Server =>
  configured(vlan, "radvd", (dir, file) => ({
    text: `interface ${SERVER_INTERFACE} {
  AdvSendAdvert on;
  AdvOtherConfigFlag on;
  MinRtrAdvInterval 5;
  MaxRtrAdvInterval 60;
  prefix ${vlan.prefix}/64 { };
  RDNSS ${vlan.address} { };
${options}};
`,
    argv: ["radvd", "-n", "-m", "stderr", "-C", file, "-p", join(dir, "pid")],
  }));
