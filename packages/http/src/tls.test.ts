/** HTTPS boot: the given certificate, also after it was replaced. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { promisify } from "node:util";
import type { HttpConfig } from "@netboot6/config";
import type { EventBody, Running } from "@netboot6/events";
import { type HttpSettings, startHttp } from "./service.ts";

const PORT = 18_443;
const NAME = "boot.rack.example";

function directory(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "netboot6-tls-"));
  t.after(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, "linux"), "kernel");
  return dir;
}

function makeCertificate(dir: string, serial: number): { cert: string; key: string } {
  const [cert, key] = [join(dir, `cert-${serial}.pem`), join(dir, `key-${serial}.pem`)];
  const subject = ["-subj", `/CN=${NAME}`, "-addext", `subjectAltName=DNS:${NAME}`, "-set_serial", String(serial)];
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "2",
      ...subject,
      "-keyout",
      key,
      "-out",
      cert,
    ],
    {
      stdio: "ignore",
    },
  );
  return { cert, key };
}

interface Started {
  readonly events: EventBody[];
  readonly running: Running<HttpSettings>;
  readonly http: HttpConfig;
}

async function start(t: TestContext, dir: string, files: { cert: string; key: string }): Promise<Started> {
  const events: EventBody[] = [];
  const tls = { ...files, port: PORT, name: NAME };
  const http = { port: 18_444, listen: ["::1"], allow: "networks" as const, root: dir, listing: false, templates: [], cache: null, tls };
  const running = await startHttp({ http, networks: [] }, { emit: (event) => events.push(event), ask: async () => null });
  t.after(() => running.stop());
  assert.deepEqual(running.listens, ["[::1]:18444", `https://[::1]:${PORT}`]);
  return { events, running, http };
}

/** The body, and the serial number of the certificate that came with it. */
const get = (ca: string): Promise<[body: string, serial: number]> =>
  new Promise((resolve, reject) => {
    const options = { host: "::1", port: PORT, path: "/linux", servername: NAME, ca: readFileSync(ca), agent: false };
    request(options, (response) => {
      const serial = Number.parseInt((response.socket as TLSSocket).getPeerCertificate().serialNumber, 16);
      let body = "";
      response.on("data", (data) => {
        body += data;
      });
      response.on("end", () => resolve([body, serial]));
    })
      .on("error", reject)
      .end();
  });

test("files are served by HTTPS under the given certificate, and under the one that replaces it", { timeout: 30_000 }, async (t) => {
  const dir = directory(t);
  const first = makeCertificate(dir, 1);
  const files = { cert: join(dir, "cert.pem"), key: join(dir, "key.pem") };
  writeFileSync(files.cert, readFileSync(first.cert));
  writeFileSync(files.key, readFileSync(first.key));
  const { events } = await start(t, dir, files);
  assert.deepEqual(await get(first.cert), ["kernel", 1]);
  const second = makeCertificate(dir, 2);
  renameSync(second.key, files.key);
  const ca = readFileSync(second.cert);
  writeFileSync(join(dir, "ca.pem"), ca);
  renameSync(second.cert, files.cert);
  for (let waited = 0; ; waited++) {
    const [, serial] = await get(join(dir, "ca.pem")).catch(() => ["", 0] as [string, number]);
    if (serial === 2) break;
    assert.ok(waited < 40, "the new certificate was not taken");
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  assert.deepEqual(
    events.filter(({ type }) => type === "appliance.warned"),
    [],
  );
});

test("a certificate that cannot be used is refused at the start, and told once while the old one stays", { timeout: 40_000 }, async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const dir = directory(t);
  const files = makeCertificate(dir, 3);
  const other = makeCertificate(dir, 4);
  await assert.rejects(start(t, dir, { cert: files.cert, key: other.key }), /key-4\.pem is not the key of .*cert-3\.pem/);
  await assert.rejects(start(t, dir, { cert: join(dir, "linux"), key: other.key }), /linux is no certificate in PEM/);
  const ca = join(dir, "ca.pem");
  writeFileSync(ca, readFileSync(files.cert));
  const { events } = await start(t, dir, files);
  writeFileSync(files.cert, "rubbish");
  const warned = (): number => events.filter(({ type }) => type === "appliance.warned").length;
  const looks = [1, 2, 3, 4].map(() => {
    t.mock.timers.tick(5_000);
    return warned();
  });
  assert.deepEqual(looks, [0, 1, 1, 1], "the other file may come a moment later");
  const told = events.find((event) => event.type === "appliance.warned");
  assert.match(told?.type === "appliance.warned" ? told.why : "", /the old certificate stays: .*cert-3\.pem is no certificate in PEM/);
  assert.deepEqual(await get(ca), ["kernel", 3]);
});

test("a client that does not trust the certificate is told of, by its alert or as it resets; one that asks nothing is not", async (t) => {
  const dir = directory(t);
  const files = makeCertificate(dir, 5);
  const { events } = await start(t, dir, files);
  const failures = (): string[] => events.flatMap((event) => (event.type === "http.tlsFailed" ? `${event.client}: ${event.why}` : []));
  const until = async (count: number): Promise<void> => {
    for (let waited = 0; waited < 40 && failures().length < count; waited++) await new Promise((resolve) => setTimeout(resolve, 50));
  };
  await get(files.cert);
  await assert.rejects(promisify(execFile)("curl", ["-sS", `https://[::1]:${PORT}/linux`]), /certificate/);
  await until(1);
  assert.match(failures()[0] ?? "", /^::1: (tlsv1 alert unknown ca|it broke off the handshake.*)$/);
  connect(PORT, "::1").end();
  const resets = connect(PORT, "::1");
  resets.write(Buffer.from("1603010200010001fc0303", "hex"));
  setTimeout(() => resets.resetAndDestroy(), 100);
  await once(resets, "close");
  await until(2);
  assert.deepEqual(await get(files.cert), ["kernel", 5]);
  assert.equal(failures().length, 2);
  assert.match(failures()[1] ?? "", /^::1: it broke off the handshake/);
});

test("a reload that turns HTTPS off leaves downloads by HTTP alone; one that cannot be made leaves nothing open", {
  timeout: 30_000,
}, async (t) => {
  const dir = directory(t);
  writeFileSync(join(dir, "large"), Buffer.alloc(20_000_000));
  const { running, http } = await start(t, dir, makeCertificate(dir, 6));
  const taken = createServer().listen({ port: PORT + 2, host: "::1" });
  t.after(() => taken.close());
  await once(taken, "listening");
  const tls = { ...(http.tls as NonNullable<HttpConfig["tls"]>), port: PORT + 2 };
  await assert.rejects(running.reload({ http: { ...http, port: PORT + 3, tls }, networks: [] }), /cannot listen on \[::1\]:18445/);
  await assert.rejects(once(connect(PORT + 3, "::1"), "connect"), /ECONNREFUSED/);

  const socket = connect(http.port, "::1", () => socket.write("GET /large HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n"));
  await once(socket, "readable");
  await running.reload({ http: { ...http, tls: null }, networks: [] });
  assert.deepEqual(running.listens, ["[::1]:18444"]);
  let bytes = 0;
  for await (const piece of socket) bytes += piece.length;
  assert.ok(bytes > 20_000_000, `${bytes}`);
});
