/** Looks for other routers on links, as a host does that comes up (RFC 4861 §6.3.7). Main thread only. */
import { ALL_ROUTERS, decodeRouterAdvertisement, encodeRouterSolicitation, isLinkLocal } from "@netboot6/codec";
import type { Link } from "@netboot6/config";
import { openSocket } from "./socket.ts";

/** Whether a default router is there; why nobody can tell, where the host does not let us look. */
export type Found = boolean | { readonly why: string };

/** A router answers within half a second, or 3 s after its last multicast advertisement (RFC 4861 §6.2.6). */
const ANSWER_MS = 3_000;

/** Sends one solicitation to each link. It takes 3 s, or less where each of them has a router. */
export async function findRouters(links: readonly Link[]): Promise<Found[]> {
  return Promise.all(links.map(findRouter));
}

async function findRouter(link: Link): Promise<Found> {
  const { promise, resolve } = Promise.withResolvers<Found>();
  const timer = setTimeout(() => resolve(false), ANSWER_MS);
  let close = (): void => {};
  try {
    const socket = openSocket(link, true); // another program on this host may be the router
    close = () => socket.close();
    socket.on("error", ({ message }) => resolve({ why: message }));
    socket.on("message", (bytes, source) => {
      const ra = decodeRouterAdvertisement(bytes);
      if (ra.ok && ra.value.routerLifetime > 0 && isLinkLocal(source)) resolve(true);
    });
    const solicitation = Buffer.from(encodeRouterSolicitation({ sourceMac: link.mac }));
    socket.send(solicitation, 0, solicitation.length, ALL_ROUTERS, (error) => error && resolve({ why: error.message }));
  } catch (error) {
    resolve({ why: (error as Error).message });
  }
  return promise.finally(() => {
    clearTimeout(timer);
    close();
  });
}
