/*
 * Racks of machines that are switched on at once, each by the whole chain: EDK2's HTTP boot (router solicitation, Solicit, Request,
 * HEAD and GET of the program, a reset, Release), then iPXE (router solicitation, Information-request, a name, script, kernel,
 * initrd). What they say, and when they say it again, is as captured from real ones.
 *   storm-load INTERFACE SERVER PREFIX FIRST COUNT LIMIT
 * SERVER is its address; machine n, from FIRST on, has the MAC 02:5b:00:00:nn:nn and the address that it forms in PREFIX, which is routed here.
 * Where a file's head or next byte does not come for 5 s a machine gives up, as firmware does: it has failed.
 * Router solicitations and DHCPv6 are frames of our own, each with its machine's MAC; the rest is the kernel's. Bodies are thrown
 * away in the kernel. Ends when all have their initrd, or after LIMIT seconds. Prints one JSON line; times are seconds since the start.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ETH = 14, IP = 40, MOST = 10000, HEAD = 8192, LEAST = 512 << 10, SOLICIT = 1, ADVERTISE = 2, REQUEST = 3, REPLY = 7, RELEASE = 8, INFORM = 11 };
/* What a machine waits for. */
enum stage { OFFER, LEASE, ROUTER, PROGRAM_HEAD, PROGRAM, ROUTER_AGAIN, SCRIPT_URL, NAME, SCRIPT, KERNEL, INITRD, DONE, FAILED, STAGES };
static const char *const names[] = {"offer", "lease", "router", "head", "program", "router again", "url", "name", "script", "kernel", "initrd"};
/* Seconds until it is said again, as measured with real clients. */
static const double firmware_solicit[] = {4.8, 9, 17, 33, 1e9}, firmware_request[] = {2, 3, 5, 9, 17, 33, 1e9}, firmware_router[] = {4, 4, 1e9},
                    ipxe[] = {0.25, 0.5, 1, 2, 4, 8.4, 1e9}, resolver[] = {1, 2, 4, 8, 1e9};
static const double PATIENCE = 5;

struct machine {
  enum stage stage;
  uint8_t mac[6], local[16];
  struct in6_addr address;
  uint32_t xid;
  double asked, again, done[STAGES]; /* when the stage was over */
  int turn, advertised_to;
  const double *retries;
  uint8_t server[64], ia[128];
  int serverLength, iaLength;
  char program[256], script[256], kernel[256], initrd[256];
  int fd, got, head, ended;
  long long due;
  int least;
  double requested, impatient; /* 0: of nothing */
  char buffer[HEAD];
};

static struct machine *machines;
static int first, count, packets, names_socket, epoll, index_of, finished, failed;
static struct in6_addr server;
static double began;
static uint32_t *exchanges;
static int exchanged, resent, broken;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

/* --- frames --- */
static void transmit(struct machine *m, const uint8_t *source, const uint8_t *to, int protocol, uint8_t *payload, int length, int checksum) {
  uint8_t frame[2048] = {0x33, 0x33, to[12], to[13], to[14], to[15]};
  memcpy(frame + 6, m->mac, 6);
  frame[12] = 0x86, frame[13] = 0xdd;
  uint8_t *ip = frame + ETH;
  ip[0] = 0x60, ip[4] = length >> 8, ip[5] = length, ip[6] = protocol, ip[7] = 255;
  memcpy(ip + 8, source, 16);
  memcpy(ip + 24, to, 16);
  memcpy(ip + IP, payload, length);
  uint32_t sum = length + protocol;
  for (int i = 8; i < IP + length; i += 2) sum += ip[i] << 8 | (i + 1 < IP + length ? ip[i + 1] : 0);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  sum = ~sum & 0xffff;
  if (sum == 0 && protocol == 17) sum = 0xffff; /* RFC 8200 §8.1: zero would mean none, and is dropped */
  ip[IP + checksum] = sum >> 8, ip[IP + checksum + 1] = sum;
  while (send(packets, frame, ETH + IP + length, 0) < 0 && (errno == ENOBUFS || errno == EAGAIN)) usleep(50);
}

static void solicit_router(struct machine *m, int firmware) {
  static const uint8_t routers[16] = {0xff, 2, [15] = 2}, any[16];
  uint8_t message[16] = {133, [8] = 1, [9] = 1};
  memcpy(message + 10, m->mac, 6);
  transmit(m, firmware ? any : m->local, routers, 58, message, firmware ? 8 : 16, 2);
}

static uint8_t *option(uint8_t *at, int code, int length, const void *data) {
  at[0] = code >> 8, at[1] = code, at[2] = length >> 8, at[3] = length;
  memcpy(at + 4, data, length);
  return at + 4 + length;
}

static uint8_t *text_class(uint8_t *at, const char *text) {
  uint8_t data[128] = {0, 0, 1, 0x57, 0, strlen(text)};
  memcpy(data + 6, text, strlen(text));
  return option(at, 16, 6 + strlen(text), data);
}

static void dhcpv6(struct machine *m, int type) {
  static const uint8_t servers[16] = {0xff, 2, [13] = 1, [15] = 2};
  int n = first + (m - machines);
  uint8_t udp[1400] = {546 >> 8, 546 & 255, 547 >> 8, 547 & 255}, *at = udp + 8;
  at[0] = type, at[1] = m->xid >> 16, at[2] = m->xid >> 8, at[3] = m->xid;
  at += 4;
  /* DUID-UUID; the firmware's is in another byte order than iPXE's */
  uint8_t duid[18] = {0, 4, 0x44, 0x33, 0x22, 0x11, 0x66, 0x55, 0x88, 0x77, 0x99, 0xaa, 0, 0, 0, 0, n >> 8, n};
  if (type == INFORM) memcpy(duid + 2, (uint8_t[]){0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}, 8);
  at = option(at, 1, sizeof duid, duid);
  at = option(at, 8, 2, "\0\0");
  if (type == REQUEST || type == RELEASE) at = option(at, 2, m->serverLength, m->server);
  if (type == SOLICIT) {
    uint8_t ia[12] = {7, 7, n >> 8, n, 255, 255, 255, 255, 255, 255, 255, 255};
    at = option(at, 3, 12, ia);
  } else if (type != INFORM) at = option(at, 3, m->iaLength, m->ia);
  if (type == INFORM) {
    at = option(at, 15, 6, "\0\4iPXE");
    at = text_class(at, "PXEClient:Arch:00007:UNDI:003010");
    at = option(at, 61, 2, "\0\7");
    at = option(at, 6, 8, "\0\27\0\30\0\73\0\74");
  } else if (type != RELEASE) {
    at = option(at, 6, 8, "\0\73\0\74\0\27\0\20");
    at = option(at, 62, 3, "\1\3\0");
    at = option(at, 61, 2, "\0\20");
    at = text_class(at, "HTTPClient:Arch:00016:UNDI:003000");
  }
  int length = at - udp;
  udp[4] = length >> 8, udp[5] = length;
  transmit(m, m->local, servers, 17, udp, length, 6);
}

static void ask_name(struct machine *m) {
  int n = m - machines;
  uint8_t query[] = {n >> 8, n, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4, 'b', 'o', 'o', 't', 3, 'l', 'a', 'b', 0, 0, 28, 0, 1};
  struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(53), .sin6_addr = server};
  union {
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    struct cmsghdr header;
  } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(struct in6_pktinfo)), .cmsg_level = IPPROTO_IPV6, .cmsg_type = IPV6_PKTINFO}};
  struct in6_pktinfo from = {.ipi6_addr = m->address};
  memcpy(CMSG_DATA(&control.header), &from, sizeof from);
  struct iovec vector = {query, sizeof query};
  struct msghdr message = {&to, sizeof to, &vector, 1, &control, sizeof control, 0};
  sendmsg(names_socket, &message, 0);
}

/* --- the chain --- */
static void say(struct machine *m) {
  switch (m->stage) {
    case OFFER: dhcpv6(m, SOLICIT); break;
    case LEASE: dhcpv6(m, REQUEST); break;
    case ROUTER: solicit_router(m, 1); break;
    case ROUTER_AGAIN: solicit_router(m, 0); break;
    case SCRIPT_URL: dhcpv6(m, INFORM); break;
    case NAME: ask_name(m); break;
    default: break;
  }
}

static void over(struct machine *m);
static void dial(struct machine *m);
static void get(struct machine *m, const char *method, const char *url);

static void enter(struct machine *m, enum stage stage) {
  static const double *const retries[STAGES] = {[OFFER] = firmware_solicit, [LEASE] = firmware_request, [ROUTER] = firmware_router,
                                                [ROUTER_AGAIN] = ipxe, [SCRIPT_URL] = ipxe, [NAME] = resolver};
  m->stage = stage;
  m->asked = now();
  m->turn = 0;
  m->retries = retries[stage];
  m->again = m->retries ? m->asked + m->retries[0] : 0;
  m->xid = (uint32_t)(m - machines) << 8 | (stage + 1);
  switch (stage) {
    case PROGRAM_HEAD: dial(m); break;
    case PROGRAM: get(m, "GET", m->program); break;
    case SCRIPT: dial(m); break;
    case KERNEL: get(m, "GET", m->kernel); break;
    case INITRD: get(m, "GET", m->initrd); break;
    case DONE: finished++; break;
    case OFFER: /* firmware begins both at once */
      solicit_router(m, 1);
      say(m);
      break;
    case ROUTER:
      if (m->advertised_to) over(m);
      break;
    default: say(m);
  }
}

static void over(struct machine *m) {
  m->done[m->stage] = now() - began;
  enter(m, m->stage + 1);
}

static void fail(struct machine *m, const char *why) {
  if (m->stage >= DONE) return;
  if (failed++ < 5) fprintf(stderr, "machine %d at %s: %s\n", (int)(m - machines), names[m->stage], why);
  m->stage = FAILED;
  finished++;
}

/* --- HTTP --- */
static void dial(struct machine *m) {
  m->fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int on = 1;
  setsockopt(m->fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
  setsockopt(m->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct sockaddr_in6 from = {.sin6_family = AF_INET6, .sin6_addr = m->address}, to = {.sin6_family = AF_INET6, .sin6_port = htons(80), .sin6_addr = server};
  if (bind(m->fd, (struct sockaddr *)&from, sizeof from) < 0) die("bind");
  if (connect(m->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) return fail(m, strerror(errno));
  m->got = 0;
  m->due = -2; /* connecting */
  m->least = 1;
  struct epoll_event event = {.events = EPOLLOUT, .data.ptr = m};
  epoll_ctl(epoll, EPOLL_CTL_ADD, m->fd, &event);
}

static void get(struct machine *m, const char *method, const char *url) {
  char host[64], request[600];
  const char *path = strncmp(url, "http://", 7) == 0 ? strchr(url + 7, '/') : url;
  int length = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: [%s]\r\nUser-Agent: %s\r\nAccept: */*\r\n\r\n", method, path ? path : "/",
                        inet_ntop(AF_INET6, &server, host, sizeof host), m->stage <= PROGRAM ? "UefiHttpBoot/1.0" : "iPXE/1.21.1");
  m->got = 0;
  m->due = -1;
  m->requested = now();
  m->impatient = m->requested + PATIENCE;
  if (send(m->fd, request, length, MSG_NOSIGNAL) != length) fail(m, "cannot send");
}

static void wake_at(struct machine *m, long long due) {
  int least = due > LEAST ? LEAST : 1;
  if (least == m->least) return;
  m->least = least;
  setsockopt(m->fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least);
}

/* The URL of the first line that begins with `word`. */
static int url_of(const char *script, const char *word, char *out) {
  for (const char *line = script; line; line = strchr(line, '\n')) {
    line += *line == '\n';
    if (strncmp(line, word, strlen(word)) != 0) continue;
    const char *url = strstr(line, "http://"), *end = strchr(line, '\n');
    if (!url || (end && url > end)) continue;
    size_t length = strcspn(url, " \r\n");
    if (length >= 256) return 0;
    memcpy(out, url, length);
    out[length] = 0;
    return 1;
  }
  return 0;
}

static void answered(struct machine *m) {
  wake_at(m, 0);
  m->impatient = 0;
  if (m->stage == PROGRAM) { /* EDK2 resets, then lets its address go */
    struct linger now = {1, 0};
    setsockopt(m->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(m->fd);
    m->xid = (uint32_t)(m - machines) << 8 | 0xff;
    dhcpv6(m, RELEASE);
  }
  if (m->stage == SCRIPT) {
    m->buffer[m->got] = 0;
    if (!url_of(m->buffer, "kernel", m->kernel) || !url_of(m->buffer, "initrd", m->initrd)) return fail(m, m->buffer);
  }
  if (m->stage == INITRD) close(m->fd);
  over(m);
}

static void readable(struct machine *m) {
  while (m->stage < DONE) {
    if (m->due >= 0 && m->stage != SCRIPT) {
      ssize_t n = recv(m->fd, NULL, m->due < (4 << 20) ? m->due : 4 << 20, MSG_TRUNC | MSG_DONTWAIT);
      if (n < 0 && errno == EAGAIN) return;
      if (n <= 0) return broken++, fail(m, "broken off");
      m->due -= n;
      wake_at(m, m->due);
      if (m->due == 0) answered(m);
      return;
    }
    ssize_t n = recv(m->fd, m->buffer + m->got, m->stage == SCRIPT && m->due >= 0 ? m->due : HEAD - 1 - m->got, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return broken++, fail(m, "broken off");
    m->got += n;
    m->buffer[m->got] = 0;
    if (m->due >= 0) { /* a script's body */
      if ((m->due -= n) == 0) answered(m);
      return;
    }
    char *end = strstr(m->buffer, "\r\n\r\n"), *length = strcasestr(m->buffer, "\r\nContent-Length:");
    if (!end) return;
    if (strncmp(m->buffer + 8, " 200", 4) != 0 || !length || length > end) return fail(m, m->buffer);
    m->due = m->stage == PROGRAM_HEAD ? 0 : atoll(length + 17) - (m->buffer + m->got - (end + 4));
    wake_at(m, m->due);
    if (m->due == 0) return answered(m);
  }
}

static void ready(struct machine *m, uint32_t events) {
  if (m->stage >= DONE) return;
  if (m->due == -2) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(m->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) return fail(m, strerror(error));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = m};
    epoll_ctl(epoll, EPOLL_CTL_MOD, m->fd, &event);
    get(m, m->stage == PROGRAM_HEAD ? "HEAD" : "GET", m->stage == PROGRAM_HEAD ? m->program : m->script);
  } else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(m);
}

/* A few bytes do not wake us: the kernel knows when they came. */
static void lose_patience(struct machine *m, double t) {
  struct tcp_info info;
  socklen_t size = sizeof info;
  if (getsockopt(m->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) die("TCP_INFO");
  double last = t - info.tcpi_last_data_recv / 1e3;
  m->impatient = (last > m->requested ? last : m->requested) + PATIENCE;
  if (t < m->impatient) return;
  fail(m, "nothing came for too long");
  close(m->fd);
}

/* --- answers in frames --- */
static const uint8_t *find(const uint8_t *bytes, int length, int code, int *size) {
  for (int at = 4; at + 4 <= length;) {
    int n = bytes[at + 2] << 8 | bytes[at + 3];
    if (at + 4 + n > length) return 0;
    if ((bytes[at] << 8 | bytes[at + 1]) == code) return *size = n, bytes + at + 4;
    at += 4 + n;
  }
  return 0;
}

static int take_url(const uint8_t *bytes, int length, char *out) {
  int size;
  const uint8_t *url = find(bytes, length, 59, &size);
  if (!url || size >= 256) return 0;
  memcpy(out, url, size);
  out[size] = 0;
  return 1;
}

static void take_dhcpv6(const uint8_t *bytes, int length) {
  if (length < 4) return;
  uint32_t xid = bytes[1] << 16 | bytes[2] << 8 | bytes[3];
  int n = xid >> 8, size;
  if (n >= count) return;
  struct machine *m = &machines[n];
  if (m->xid != xid || (m->stage != OFFER && m->stage != LEASE && m->stage != SCRIPT_URL)) return;
  if (bytes[0] != (m->stage == OFFER ? ADVERTISE : REPLY)) return;
  if (m->stage == OFFER) {
    const uint8_t *id = find(bytes, length, 2, &m->serverLength);
    const uint8_t *ia = find(bytes, length, 3, &m->iaLength);
    const uint8_t *class = find(bytes, length, 16, &size);
    if (!id || !ia || m->serverLength > 64 || m->iaLength > 128 || m->iaLength < 40) return fail(m, "an offer without an address");
    if (!class || size < 16 || memcmp(class + 6, "HTTPClient", 10) != 0 || !take_url(bytes, length, m->program)) return fail(m, "no offer of HTTP boot");
    memcpy(m->server, id, m->serverLength);
    memcpy(m->ia, ia, m->iaLength);
  }
  if (m->stage == SCRIPT_URL && !take_url(bytes, length, m->script)) return fail(m, "no URL of a script");
  exchanges[exchanged++] = (now() - m->asked) * 1e6;
  over(m);
}

static void take_frame(const uint8_t *frame, int length) {
  const uint8_t *ip = frame + ETH;
  if (length < ETH + IP + 8) return;
  if (ip[6] == 17) return take_dhcpv6(ip + IP + 8, length - ETH - IP - 8);
  if (ip[6] != 58 || ip[IP] != 134) return;
  if (ip[24] == 0xff) {
    for (int n = 0; n < count; n++) {
      machines[n].advertised_to = 1;
      if (machines[n].stage == ROUTER || machines[n].stage == ROUTER_AGAIN) over(&machines[n]);
    }
    return;
  }
  int n = (ip[38] << 8 | ip[39]) - first;
  if (n >= 0 && n < count && machines[n].stage == ROUTER_AGAIN && memcmp(machines[n].local, ip + 24, 16) == 0) over(&machines[n]);
}

static void open_packets(const char *name) {
  packets = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_IPV6));
  if (packets < 0) die("socket");
  index_of = if_nametoindex(name);
  /* DHCPv6 to a client, and router advertisements: not the downloads */
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH + 6),      /* 0: next header */
      BPF_JUMP(BPF_JMP | BPF_JEQ, IPPROTO_UDP, 0, 2),   /* 1 */
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETH + IP + 2), /* 2: port */
      BPF_JUMP(BPF_JMP | BPF_JEQ, 546, 2, 1),           /* 3 */
      BPF_JUMP(BPF_JMP | BPF_JEQ, IPPROTO_ICMPV6, 1, 0), /* 4 */
      BPF_STMT(BPF_RET, 0),                             /* 5 */
      BPF_STMT(BPF_RET, 0xffff),                        /* 6 */
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  if (setsockopt(packets, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0) die("filter");
  struct sockaddr_ll on = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IPV6), .sll_ifindex = index_of};
  if (bind(packets, (struct sockaddr *)&on, sizeof on) < 0) die("bind");
  int size = 32 << 20;
  setsockopt(packets, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  struct packet_mreq all = {.mr_ifindex = index_of, .mr_type = PACKET_MR_PROMISC};
  setsockopt(packets, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int by_time(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static void report(double cpu, double seconds) {
  printf("{\"machines\":%d,\"failed\":%d,\"resent\":%d,\"cpu\":%.3f,\"seconds\":%.3f,\"dhcpv6\":{\"p50\":%u,\"p99\":%u,\"most\":%u},\"stages\":{", count, failed, resent,
         cpu / seconds, seconds, exchanged ? exchanges[exchanged / 2] : 0, exchanged ? exchanges[exchanged * 99 / 100] : 0, exchanged ? exchanges[exchanged - 1] : 0);
  double *times = calloc(count, sizeof *times);
  for (int stage = 0; stage < DONE; stage++) {
    int n = 0;
    for (int i = 0; i < count; i++)
      if (machines[i].done[stage] > 0) times[n++] = machines[i].done[stage];
    qsort(times, n, sizeof *times, by_value);
    printf("%s\"%s\":{\"first\":%.3f,\"median\":%.3f,\"last\":%.3f}", stage ? "," : "", names[stage], n ? times[0] : -1, n ? times[n / 2] : -1, n ? times[n - 1] : -1);
  }
  printf("}}\n");
}

int main(int argc, char **argv) {
  struct in6_addr prefix;
  if (argc < 7 || inet_pton(AF_INET6, argv[2], &server) != 1 || inet_pton(AF_INET6, argv[3], &prefix) != 1 || (first = atoi(argv[4])) < 0 || (count = atoi(argv[5])) < 1 || count > MOST)
    return fprintf(stderr, "usage: storm-load INTERFACE SERVER PREFIX FIRST COUNT LIMIT\n"), 2;
  double limit = atof(argv[6]);
  machines = calloc(count, sizeof *machines);
  exchanges = calloc(count * 3, sizeof *exchanges);
  open_packets(argv[1]);
  names_socket = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  int on = 1;
  setsockopt(names_socket, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
  struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(5353)};
  if (bind(names_socket, (struct sockaddr *)&any, sizeof any) < 0) die("bind");
  epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &packets};
  epoll_ctl(epoll, EPOLL_CTL_ADD, packets, &event);
  event.data.ptr = &names_socket;
  epoll_ctl(epoll, EPOLL_CTL_ADD, names_socket, &event);

  began = now();
  for (int n = 0; n < count; n++) {
    struct machine *m = &machines[n];
    memcpy(m->mac, (uint8_t[]){2, 0x5b, 0, 0, (first + n) >> 8, first + n}, 6);
    uint8_t id[8] = {0, 0x5b, 0, 0xff, 0xfe, 0, (first + n) >> 8, first + n};
    memcpy(m->local, (uint8_t[]){0xfe, 0x80}, 2);
    memcpy(m->local + 8, id, 8);
    m->address = prefix;
    memcpy(m->address.s6_addr + 8, id, 8);
    enter(m, OFFER);
  }
  double checked = began;
  while (finished < count && now() < began + limit) {
    struct epoll_event events[512];
    int n = epoll_wait(epoll, events, 512, 50);
    for (int i = 0; i < n; i++) {
      if (events[i].data.ptr == &packets) {
        uint8_t frame[2048];
        struct sockaddr_ll from;
        for (int most = 0; most < 256; most++) {
          socklen_t size = sizeof from;
          ssize_t length = recvfrom(packets, frame, sizeof frame, 0, (struct sockaddr *)&from, &size);
          if (length < 0) break;
          if (from.sll_pkttype != PACKET_OUTGOING) take_frame(frame, length);
        }
      } else if (events[i].data.ptr == &names_socket) {
        uint8_t answer[512];
        for (ssize_t length; (length = recv(names_socket, answer, sizeof answer, 0)) >= 12;) {
          int id = answer[0] << 8 | answer[1];
          if (id >= count || machines[id].stage != NAME) continue;
          if ((answer[3] & 15) != 0 || answer[7] == 0) fail(&machines[id], "the name has no address");
          else over(&machines[id]);
        }
      } else ready(events[i].data.ptr, events[i].events);
    }
    double t = now();
    if (t - checked < 0.02) continue;
    checked = t;
    for (int i = 0; i < count; i++) {
      struct machine *m = &machines[i];
      if (m->stage < DONE && m->impatient && t >= m->impatient) lose_patience(m, t);
      if (!m->retries || m->stage >= DONE || t < m->again) continue;
      m->again = t + m->retries[++m->turn];
      resent++;
      say(m);
    }
  }
  for (int i = 0; i < count; i++) fail(&machines[i], "out of time");
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  double cpu = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  qsort(exchanges, exchanged, sizeof *exchanges, by_time);
  report(cpu, now() - began);
  return 0;
}
