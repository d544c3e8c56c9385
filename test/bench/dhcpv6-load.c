/*
 * A closed-loop DHCPv6 load: so many clients at a time, each Solicit -> Advertise -> Request -> Reply, then the next client.
 *   dhcpv6-load INTERFACE OUTSTANDING SECONDS FIRST-CLIENT [MAX-EXCHANGES [ACKNOWLEDGED [PACE [CLIENTS]]]]
 * Every client has a DUID-LLT and IAID of its own; all speak from one link-local address, as load generators do.
 * Into the file ACKNOWLEDGED goes a line "client address" for each Reply; "" is none. With a PACE so many exchanges a second begin,
 * while slots are idle, and each is timed from when it was due. MAX-EXCHANGES 0 is no limit.
 * After so many CLIENTS the first comes again; without them each exchange is another client's.
 * Prints one JSON line: exchanges, seconds, resent, p50 and p99 of a whole exchange in microseconds, CPU share of this program.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SOLICIT = 1, ADVERTISE = 2, REQUEST = 3, REPLY = 7, CLIENT_ID = 1, SERVER_ID = 2, IA_NA = 3, MAX_SLOTS = 4096, RESEND_US = 1000000 };

struct slot {
  uint32_t client, xid;
  int state; /* SOLICIT or REQUEST, whichever is under way; 0: idle */
  uint64_t started, sent;
  unsigned char packet[512];
  int length;
};

static struct slot slots[MAX_SLOTS];
static int sock;
static struct sockaddr_in6 group;
static uint32_t firstClient, nextClient, clients;
static double pace;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static unsigned char *option(unsigned char *at, int code, int length, const void *data) {
  at[0] = code >> 8, at[1] = code, at[2] = length >> 8, at[3] = length;
  if (data) memcpy(at + 4, data, length);
  return at + 4 + length;
}

static void transmit(struct slot *s) {
  s->sent = now();
  while (sendto(sock, s->packet, s->length, 0, (struct sockaddr *)&group, sizeof group) < 0 && (errno == ENOBUFS || errno == EAGAIN)) usleep(50);
}

/* The slot's number is in the transaction id, so that an answer finds it at once. */
static unsigned char *begin(struct slot *s, int type) {
  static uint32_t sequence;
  s->xid = ((uint32_t)(s - slots) << 12 | (sequence++ & 0xfff)) & 0xffffff;
  s->state = type;
  s->packet[0] = type, s->packet[1] = s->xid >> 16, s->packet[2] = s->xid >> 8, s->packet[3] = s->xid;
  unsigned char duid[14] = {0, 1, 0, 1, 0x2a, 0, 0, 0, 2, 0, s->client >> 24, s->client >> 16, s->client >> 8, s->client};
  return option(s->packet + 4, CLIENT_ID, sizeof duid, duid);
}

static void solicit(struct slot *s, uint64_t due) {
  s->client = nextClient++;
  if (nextClient - firstClient == clients) nextClient = firstClient;
  unsigned char ia[12] = {s->client >> 24, s->client >> 16, s->client >> 8, s->client};
  s->started = due;
  unsigned char *at = begin(s, SOLICIT);
  at = option(at, IA_NA, sizeof ia, ia);
  s->length = at - s->packet;
  transmit(s);
}

/* The slot is done: the next client at once, or when its time comes. */
static void next(struct slot *s) {
  s->state = 0;
  if (!pace) solicit(s, now());
}

static const unsigned char *find(const unsigned char *bytes, int length, int code, int *size) {
  for (int at = 4; at + 4 <= length;) {
    int n = bytes[at + 2] << 8 | bytes[at + 3];
    if (at + 4 + n > length) return 0;
    if ((bytes[at] << 8 | bytes[at + 1]) == code) return *size = n, bytes + at + 4;
    at += 4 + n;
  }
  return 0;
}

static int byValue(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
  if (argc < 5) return fprintf(stderr, "usage: dhcpv6-load INTERFACE OUTSTANDING SECONDS FIRST-CLIENT [MAX-EXCHANGES [ACKNOWLEDGED [PACE [CLIENTS]]]]\n"), 2;
  int outstanding = atoi(argv[2]);
  double seconds = atof(argv[3]);
  firstClient = nextClient = strtoul(argv[4], 0, 10);
  uint64_t most = argc > 5 && strtoull(argv[5], 0, 10) ? strtoull(argv[5], 0, 10) : UINT64_MAX;
  FILE *acknowledged = argc > 6 && *argv[6] ? fopen(argv[6], "w") : 0;
  pace = argc > 7 ? atof(argv[7]) : 0;
  clients = argc > 8 ? strtoul(argv[8], 0, 10) : 0;
  if (argc > 6 && *argv[6] && !acknowledged) return perror(argv[6]), 1;
  if (acknowledged) setlinebuf(acknowledged); /* all of it is there, however this program ends */
  if (outstanding < 1 || outstanding > MAX_SLOTS) return fprintf(stderr, "1 to %d outstanding\n", MAX_SLOTS), 2;

  sock = socket(AF_INET6, SOCK_DGRAM, 0);
  int index = if_nametoindex(argv[1]), buffer = 4 << 20;
  setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  setsockopt(sock, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index);
  struct sockaddr_in6 local = {.sin6_family = AF_INET6, .sin6_port = htons(546)};
  if (bind(sock, (struct sockaddr *)&local, sizeof local) < 0) return perror("bind"), 1;
  group = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(547), .sin6_scope_id = index};
  inet_pton(AF_INET6, "ff02::1:2", &group.sin6_addr);

  uint64_t begun = now(), end = begun + (uint64_t)(seconds * 1e6), exchanges = 0, resent = 0, refused = 0, checked = begun;
  size_t kept = 0, room = 1 << 22;
  uint32_t *times = malloc(room * sizeof *times);
  uint64_t begunExchanges = 0;
  if (!pace)
    for (int i = 0; i < outstanding; i++) solicit(&slots[i], now());
  for (uint64_t t = now(); t < end && exchanges < most; t = now()) {
    struct pollfd ready = {sock, POLLIN, 0};
    for (int i = 0; pace && i < outstanding; i++) {
      uint64_t due = begun + begunExchanges * 1e6 / pace;
      if (due > t) break;
      if (!slots[i].state) solicit(&slots[i], due), begunExchanges++;
    }
    if (poll(&ready, 1, pace ? 1 : 10) > 0)
      for (unsigned char bytes[2048]; ;) {
        int length = recv(sock, bytes, sizeof bytes, MSG_DONTWAIT), size, idSize;
        if (length < 4) break;
        uint32_t xid = bytes[1] << 16 | bytes[2] << 8 | bytes[3];
        struct slot *s = &slots[xid >> 12];
        if (!s->state || s->xid != xid) continue;
        const unsigned char *ia = find(bytes, length, IA_NA, &size), *id = find(bytes, length, SERVER_ID, &idSize);
        if (!ia || !id || size < 40) { /* no address in it */
          refused++;
          next(s);
        } else if (bytes[0] == ADVERTISE && s->state == SOLICIT) {
          unsigned char *at = begin(s, REQUEST);
          at = option(at, SERVER_ID, idSize, id);
          at = option(at, IA_NA, size, ia);
          s->length = at - s->packet;
          transmit(s);
        } else if (bytes[0] == REPLY && s->state == REQUEST) {
          exchanges++;
          char address[INET6_ADDRSTRLEN];
          if (acknowledged) fprintf(acknowledged, "%u %s\n", s->client, inet_ntop(AF_INET6, ia + 16, address, sizeof address));
          if (kept < room) times[kept++] = now() - s->started;
          next(s);
        }
      }
    if (t - checked > 100000) {
      checked = now(); /* not t: some were sent since */
      for (int i = 0; i < outstanding; i++)
        if (slots[i].state && checked - slots[i].sent > RESEND_US) resent++, transmit(&slots[i]);
    }
  }
  double took = (now() - begun) / 1e6;
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  double cpu = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  qsort(times, kept, sizeof *times, byValue);
  printf("{\"exchanges\":%llu,\"seconds\":%.3f,\"resent\":%llu,\"refused\":%llu,\"p50\":%u,\"p99\":%u,\"cpu\":%.2f}\n", (unsigned long long)exchanges, took,
         (unsigned long long)resent, (unsigned long long)refused, kept ? times[kept / 2] : 0, kept ? times[kept * 99 / 100] : 0, cpu / took);
  return 0;
}
