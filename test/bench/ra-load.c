/*
 * Router solicitations as machines send them, and what comes back; for the benchmark and for test/ra.test.ts.
 *   ra-load INTERFACE latency COUNT          one after the other, 20 ms apart: microseconds from each to its answer
 *   ra-load INTERFACE burst COUNT NONE S     COUNT from as many sources and NONE from ::, all at once; then S seconds of listening
 *   ra-load INTERFACE mutate COUNT           COUNT damaged solicitations and advertisements with a right checksum
 * Frames are made here in full, so that any source will do; the router learns where it is from the option in the solicitation.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ETH = 14, IP = 40, MAX_SOURCES = 4096, LATENCY_GAP_US = 20000, ANSWER_MS = 2000, MULTICASTS = 64 };

static int packets;
static uint8_t mac[6];
static uint64_t seed = 0x2545f491;

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static unsigned below(unsigned n) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (unsigned)(seed >> 32) % n;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void open_interface(const char *name) {
  packets = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IPV6));
  if (packets < 0) die("socket");
  struct ifreq request = {0};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(packets, SIOCGIFHWADDR, &request) < 0) die(name);
  memcpy(mac, request.ifr_hwaddr.sa_data, 6);
  struct sockaddr_ll on = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IPV6), .sll_ifindex = if_nametoindex(name)};
  if (bind(packets, (struct sockaddr *)&on, sizeof on) < 0) die("bind");
  int size = 8 << 20;
  setsockopt(packets, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  /* Promiscuous, for the answers to sources that are nobody's. */
  struct packet_mreq all = {.mr_ifindex = on.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
  setsockopt(packets, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all);
}

/* `number` 0: from ::, else from fe80::1:0 + number. */
static void send_icmp(uint8_t *message, int length, unsigned number) {
  uint8_t frame[2048] = {0x33, 0x33, 0, 0, 0, 2};
  memcpy(frame + 6, mac, 6);
  frame[12] = 0x86;
  frame[13] = 0xdd;
  uint8_t *ip = frame + ETH;
  ip[0] = 0x60;
  ip[4] = length >> 8;
  ip[5] = length;
  ip[6] = 58;
  ip[7] = 255;
  if (number > 0) {
    ip[8] = 0xfe;
    ip[9] = 0x80;
    ip[21] = 1;
    ip[22] = number >> 8;
    ip[23] = number;
  }
  ip[24] = 0xff;
  ip[25] = 2;
  ip[39] = 2;
  if (length > 3) message[2] = message[3] = 0;
  memcpy(ip + IP, message, length);
  uint32_t sum = length + 58;
  for (int i = 8; i < IP + length; i += 2) sum += ip[i] << 8 | (i + 1 < IP + length ? ip[i + 1] : 0);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  sum = ~sum & 0xffff;
  if (length > 3) {
    ip[IP + 2] = sum >> 8;
    ip[IP + 3] = sum;
  }
  while (send(packets, frame, ETH + IP + length, 0) < 0) usleep(100);
}

static void solicit(unsigned number) {
  uint8_t message[16] = {133, 0, 0, 0, 0, 0, 0, 0, 1, 1};
  memcpy(message + 10, mac, 6);
  send_icmp(message, number > 0 ? 16 : 8, number);
}

/* Waits for an advertisement: the number of the source it is for, 0 where it is for all; -1 where none came. */
static int answer(double until) {
  for (;;) {
    double left = until - now_us();
    struct pollfd wait = {.fd = packets, .events = POLLIN};
    if (left <= 0 || poll(&wait, 1, (int)(left / 1000) + 1) <= 0) return -1;
    uint8_t frame[2048];
    struct sockaddr_ll from;
    socklen_t size = sizeof from;
    ssize_t length = recvfrom(packets, frame, sizeof frame, 0, (struct sockaddr *)&from, &size);
    uint8_t *ip = frame + ETH;
    if (length < ETH + IP + 16 || from.sll_pkttype == PACKET_OUTGOING || ip[6] != 58 || ip[IP] != 134) continue;
    if (ip[24] == 0xff) return 0;
    return ip[38] << 8 | ip[39];
  }
}

static int compare(const void *a, const void *b) {
  double d = *(const double *)a - *(const double *)b;
  return d < 0 ? -1 : d > 0;
}

static void latency(int count) {
  double *took = malloc(count * sizeof *took);
  int lost = 0, n = 0;
  for (int i = 0; i < count; i++) {
    double start = now_us();
    solicit(1);
    int got;
    do got = answer(start + ANSWER_MS * 1e3);
    while (got > 1); /* a multicast one is an answer as well */
    if (got < 0) lost++;
    else took[n++] = now_us() - start;
    usleep(LATENCY_GAP_US);
  }
  qsort(took, n, sizeof *took, compare);
  printf("{\"median\":%.0f,\"p99\":%.0f,\"max\":%.0f,\"lost\":%d}\n", n ? took[n / 2] : 0, n ? took[n * 99 / 100] : 0, n ? took[n - 1] : 0, lost);
}

static void burst(int count, int anonymous, double seconds) {
  static uint8_t seen[MAX_SOURCES];
  double multicasts[MULTICASTS];
  int answered = 0, repeated = 0, heard = 0, last = 0, in_order = 1;
  double start = now_us(), end = start;
  for (int i = 1; i <= count || i <= anonymous; i++) {
    if (i <= count) solicit(i);
    if (i <= anonymous) solicit(0);
  }
  for (int got; (got = answer(start + seconds * 1e6)) >= 0;) {
    if (got == 0) {
      if (heard < MULTICASTS) multicasts[heard++] = (now_us() - start) / 1e3;
      continue;
    }
    if (got >= MAX_SOURCES) continue;
    if (seen[got]++) {
      repeated++;
      continue;
    }
    answered++;
    in_order &= got > last;
    last = got;
    end = now_us();
  }
  printf("{\"answered\":%d,\"repeated\":%d,\"inOrder\":%s,\"milliseconds\":%.2f,\"multicasts\":[", answered, repeated, in_order ? "true" : "false",
         (end - start) / 1e3);
  for (int i = 0; i < heard; i++) printf("%s%.0f", i ? "," : "", multicasts[i]);
  puts("]}");
}

static void mutate(int count) {
  static const uint8_t advertisement[] = {134, 0, 0, 0, 64, 0x40, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 9, 5, 1, 0, 0, 0, 0, 5, 0xdc,
                                          25, 3, 0, 0, 0, 0, 0, 180, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9};
  for (int i = 0; i < count; i++) {
    uint8_t message[256] = {133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 9};
    int length = 16;
    if (i % 2) memcpy(message, advertisement, length = sizeof advertisement);
    for (int changes = below(5); changes > 0; changes--) message[below(length)] = below(2) ? below(256) : below(3);
    if (below(8) == 0) length = 4 + below(length - 3);
    if (below(16) == 0) length += below(64);
    message[0] = i % 2 ? 134 : 133;
    send_icmp(message, length, below(4) ? 1 + below(200) : 0); /* all namespaces share one table of neighbours, of 1024 */
    if (i % 64 == 0) usleep(2000);
  }
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  open_interface(argv[1]);
  int count = atoi(argv[3]);
  if (strcmp(argv[2], "latency") == 0) latency(count);
  else if (strcmp(argv[2], "mutate") == 0) mutate(count);
  else if (argc == 6) burst(count, atoi(argv[4]), atof(argv[5]));
  else return 2;
  return 0;
}
