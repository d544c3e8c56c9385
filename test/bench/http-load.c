/*
 * HTTP requests one after another on each of so many kept connections, as fast as their answers come.
 *   http-load ADDRESS PATH CONNECTIONS SECONDS
 * Bodies are thrown away in the kernel, as a machine's own CPU is no part of what is measured.
 * Prints one JSON line: answers, body bytes, seconds, failed (another status, or a connection that broke), p50 and p99 of one
 * answer in microseconds, and this program's own share of a core.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
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

enum { HEAD = 4096, PIECE = 4 << 20, LEAST = 512 << 10, MOST = 4096, BUCKETS = 1 << 20 };

struct connection {
  int fd;
  char head[HEAD];
  int got;       /* bytes of the head */
  long long due; /* bytes of the body to come; -1: in the head */
  int least;     /* bytes to be woken for */
  double asked;
};

static struct connection connections[MOST];
static struct sockaddr_in6 server = {.sin6_family = AF_INET6, .sin6_port = 0};
static char request[1024];
static int requestLength, epoll;
static long long answers, bytes, failed;
static unsigned histogram[BUCKETS]; /* by 10 us */

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void ask(struct connection *c) {
  c->got = 0;
  c->due = -1;
  c->asked = now();
  if (send(c->fd, request, requestLength, MSG_NOSIGNAL) != requestLength) failed++;
}

static void dial(struct connection *c) {
  c->fd = socket(AF_INET6, SOCK_STREAM, 0);
  int on = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0) {
    perror("connect");
    exit(1);
  }
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
  ask(c);
}

static void broke(struct connection *c) {
  failed++;
  close(c->fd);
  dial(c);
}

static void finish(struct connection *c) {
  unsigned long bucket = (now() - c->asked) * 1e5;
  histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
  answers++;
  ask(c);
}

/* Large bodies are taken in few large reads: this core is not to be the bottleneck. */
static void wakeAt(struct connection *c, long long due) {
  int least = due > LEAST ? LEAST : 1;
  if (least == c->least) return;
  c->least = least;
  setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least);
}

/* One read; the connection is level-triggered. */
static void turn(struct connection *c) {
  if (c->due >= 0) {
    static char sink[4096];
    long long want = c->due < PIECE ? c->due : PIECE;
    ssize_t n = recv(c->fd, want <= (long long)sizeof sink ? sink : NULL, want, (want <= (long long)sizeof sink ? 0 : MSG_TRUNC) | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return broke(c);
    bytes += n;
    c->due -= n;
    wakeAt(c, c->due);
    if (c->due == 0) finish(c);
    return;
  }
  ssize_t n = recv(c->fd, c->head + c->got, HEAD - 1 - c->got, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return broke(c);
  c->got += n;
  c->head[c->got] = 0;
  char *end = strstr(c->head, "\r\n\r\n");
  if (!end) return c->got == HEAD - 1 ? broke(c) : (void)0;
  char *length = strcasestr(c->head, "\r\nContent-Length:");
  if (strncmp(c->head + 8, " 200", 4) != 0 || !length || length > end) return broke(c);
  long long size = atoll(length + 17), have = c->head + c->got - (end + 4);
  bytes += have;
  c->due = size - have;
  wakeAt(c, c->due);
  if (c->due == 0) finish(c);
}

static double percentile(double share) {
  long long sum = 0;
  for (int i = 0; i < BUCKETS; i++)
    if ((sum += histogram[i]) > answers * share) return (i + 0.5) * 10;
  return BUCKETS * 10.0;
}

int main(int argc, char **argv) {
  if (argc < 5 || inet_pton(AF_INET6, argv[1], &server.sin6_addr) != 1) return fprintf(stderr, "usage: http-load ADDRESS PATH CONNECTIONS SECONDS\n"), 2;
  server.sin6_port = htons(80);
  int count = atoi(argv[3]);
  if (count < 1 || count > MOST) return 2;
  requestLength = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: [%s]\r\nUser-Agent: iPXE/1.21.1\r\nConnection: keep-alive\r\n\r\n", argv[2], argv[1]);
  epoll = epoll_create1(0);
  for (int i = 0; i < count; i++) dial(&connections[i]);
  struct rusage used;
  double began = now(), end = began + atof(argv[4]);
  for (struct epoll_event events[256]; now() < end;) {
    int n = epoll_wait(epoll, events, 256, 100);
    for (int i = 0; i < n; i++) turn(events[i].data.ptr);
  }
  double seconds = now() - began;
  getrusage(RUSAGE_SELF, &used);
  double cpu = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  printf("{\"answers\":%lld,\"bytes\":%lld,\"seconds\":%.3f,\"failed\":%lld,\"p50\":%.0f,\"p99\":%.0f,\"cpu\":%.3f}\n", answers, bytes, seconds, failed,
         percentile(0.5), percentile(0.99), cpu / seconds);
  return 0;
}
