/** Real UEFI firmware (QEMU, OVMF) loads its boot program by HTTPS, under a certificate that it trusts. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Machine } from "@netboot6/lab";
import { bootAssets, INSTALLER, MAC, makeVlan, says, startAppliance, UUID } from "./setup.ts";

const NAME = "boot.rack.example";

/** Its own authority, as one who enrols it in firmware makes it. */
function makeCertificate(dir: string, name: string): { cert: string; key: string } {
  const [cert, key] = [join(dir, `${name}.pem`), join(dir, `${name}-key.pem`)];
  const subject = ["-subj", `/CN=${NAME}`, "-addext", `subjectAltName=DNS:${NAME}`];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...subject, "-keyout", key, "-out", cert], {
    stdio: "ignore",
  });
  return { cert, key };
}

test("HTTPS boot: firmware looks the name up here and loads iPXE; under a certificate that it does not know it loads nothing", async (t) => {
  const root = await bootAssets();
  const vlan = makeVlan(t, { dad: true });
  const first = makeCertificate(vlan.dir, "cert");
  const trusts = join(vlan.dir, "authority.pem");
  execFileSync("cp", [first.cert, trusts]);
  const configuration = `networks:
  - interface: prov0
http:
  root: ${root}
  tls: { cert: ${first.cert}, key: ${first.key}, name: ${NAME} }
dns: { records: { ${NAME}: [${vlan.address}] } }
boot:
  rules:
    - { userClass: iPXE, url: "{{ http }}/boot.ipxe" }
    - { arch: x64-uefi-http, url: "{{ https }}/ipxe/x86_64/ipxe.efi" }
${INSTALLER}log: { level: debug }
`;
  const appliance = await startAppliance(t, vlan, { configuration });
  const options = { firmware: "uefi-http", mac: MAC, uuid: UUID, trusts } as const;
  const machine = new Machine(vlan, { name: "https", ...options });
  const offered = await appliance.waitFor(says("dhcpv6.answered", "Request (firmware-http)"), 90);
  assert.equal(offered.bootfileUrl, `https://${NAME}/ipxe/x86_64/ipxe.efi`);
  const loaded = says("http.finished", "GET /ipxe/x86_64/ipxe.efi: 200");
  await appliance.waitFor(loaded, 90);
  await appliance.waitFor(says("http.finished", "GET /debian-12/initrd.gz: 200"), 90);
  await machine.waitFor(/Linux version|EFI stub/, 60);
  t.diagnostic(`kernel started ${machine.seconds.toFixed(1)} s after power-on`);
  await machine.powerOff();

  const other = makeCertificate(vlan.dir, "other");
  renameSync(other.key, first.key);
  renameSync(other.cert, first.cert);
  await new Promise((resolve) => setTimeout(resolve, 8_000)); // the certificate is looked at every 5 s
  const from = appliance.lines.length;
  const refuses = new Machine(vlan, { name: "refuses", ...options });
  await refuses.waitFor(/HTTP Error|Error: Could not retrieve|TLS Error|Unexpected network error/, 90);
  const stuck = await appliance.waitFor(says("machine.stuck"), 20, from);
  assert.equal(stuck.rule, "certificate-refused");
  assert.ok(!appliance.lines.slice(from).some(loaded));
  await refuses.powerOff();
});
