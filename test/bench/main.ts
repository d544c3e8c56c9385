/** `npm run bench NAME`: ours and real peers alternately in one run, and the ratio between them. */
import { benchConsole } from "./console.ts";
import { benchDhcpv6 } from "./dhcpv6.ts";
import { benchDns } from "./dns.ts";
import { benchHttp } from "./http.ts";
import { benchRa } from "./ra.ts";
import { benchStorm } from "./storm.ts";
import { benchWaits } from "./waits.ts";

const benches: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  console: benchConsole,
  dhcpv6: benchDhcpv6,
  dns: benchDns,
  http: benchHttp,
  ra: benchRa,
  storm: benchStorm,
  waits: benchWaits,
};
const [name = "", ...args] = process.argv.slice(2);
const bench = benches[name];
if (!bench) {
  console.error(`usage: npm run bench ${Object.keys(benches).join("|")}`);
  process.exit(2);
}
await bench(args);
process.exit(0);
