import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePrefix } from "@netboot6/codec";
import { withoutSecrets } from "./secrets.ts";

test("tokens, keys, and values that are called a password, hash, secret or token are blanked wherever they stand", () => {
  const keys = {
    ...{ api_key: "geheim", psk: "geheim", wifiPsk: "geheim", luks_key: "geheim", "wg-key": "geheim", private_key: "geheim" },
    ...{ passphrase: "geheim", recoveryKey: "geheim", authorized_keys: "ssh-ed25519 AAAA", keyboard: "de" },
  };
  const shown = withoutSecrets({
    console: { token: "geheim" },
    http: { tls: { cert: "cert.pem", key: "geheim.pem" } },
    machines: [{ vars: { disk: "/dev/vda", root_password: "geheim", user: { passwordHash: "$6$geheim" }, apiToken: 17, keys } }],
    profiles: {
      a: {
        cmdline: 'quiet passwd/root-password=geheim netcfg/secret="geheim too" root_hash=geheim k3s.token=geheim x=1',
        kernel: { any: "http://u:geheim@h/linux" },
      },
    },
  });
  const text = JSON.stringify(shown);
  assert.doesNotMatch(text, /geheim|17/);
  for (const stays of ["/dev/vda", "cert.pem", "quiet", "x=1", "@h/linux", "ssh-ed25519 AAAA", '"de"'])
    assert.ok(text.includes(stays), stays);
});

test("a secret that is not set is shown as not set; prefixes are text", () => {
  assert.deepEqual(withoutSecrets({ token: null, prefix: parsePrefix("2001:db8::/64") }), { token: null, prefix: "2001:db8::/64" });
});
