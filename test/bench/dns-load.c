/*
 * Questions as fast as their answers come, or at a pace: one AAAA question for each of the names n0.bench.example ..., in turn,
 * each from the next of 256 addresses below SOURCE (a /80 that is local here), as a rack of machines asks.
 * usage: dns-load SERVER SOURCE OUTSTANDING SECONDS FIRST COUNT [PACE]
 * It prints answers, seconds, lost (not answered within a second), refused (another code, or no address), p50 and p99 in
 * microseconds, and its own share of a core.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, SIZE = 512, SLOTS = 65536, LONGEST = 1000000, SOURCES = 256 };
static double sent_at[SLOTS]; /* 0: free */
static unsigned histogram[LONGEST + 1];
static unsigned short freed[SLOTS];
static unsigned first_free, last_free, outstanding;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static int question(unsigned char *out, unsigned id, unsigned long name) {
  static const unsigned char head[] = {1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  static const unsigned char tail[] = "\5bench\7example\0\0\34\0";
  out[0] = id >> 8;
  out[1] = id;
  memcpy(out + 2, head, sizeof head);
  int label = sprintf((char *)out + 13, "n%lu", name);
  out[12] = label;
  memcpy(out + 13 + label, tail, sizeof tail);
  out[13 + label + sizeof tail - 1] = 1;
  return 13 + label + sizeof tail;
}

static unsigned percentile(unsigned long answers, double share) {
  unsigned long sum = 0;
  for (unsigned time = 0; time <= LONGEST; time++)
    if ((sum += histogram[time]) > answers * share) return time;
  return LONGEST;
}

int main(int argc, char **argv) {
  struct sockaddr_in6 server = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
  struct in6_addr source;
  if (argc < 7 || inet_pton(AF_INET6, argv[1], &server.sin6_addr) != 1 || inet_pton(AF_INET6, argv[2], &source) != 1) return 2;
  unsigned window = atoi(argv[3]);
  double seconds = atof(argv[4]), pace = argc > 7 ? atof(argv[7]) : 0;
  unsigned long first = atol(argv[5]), count = atol(argv[6]);
  int udp = socket(AF_INET6, SOCK_DGRAM, 0), room = 8 << 20;
  setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  prctl(PR_SET_TIMERSLACK, 1);
  int on = 1; /* the addresses are local by a route, on no interface */
  setsockopt(udp, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);

  static unsigned char buffers[BATCH][SIZE];
  static union {
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    struct cmsghdr header;
  } control[BATCH];
  struct iovec vectors[BATCH];
  struct mmsghdr messages[BATCH];
  for (unsigned slot = 0; slot < SLOTS; slot++) freed[slot] = slot;
  first_free = 0;
  last_free = SLOTS - 1;

  unsigned long answers = 0, asked = 0, lost = 0, refused = 0, swept = 0;
  double began = now(), end = began + seconds;
  for (double time = began; time < end + (outstanding > 0 && time < end + 0.2 ? 0.2 : 0); time = now()) {
    unsigned due = window > outstanding ? window - outstanding : 0;
    if (pace > 0) {
      double behind = (time - began) * pace - asked;
      due = behind < 0 ? 0 : behind < due ? (unsigned)behind : due;
    }
    if (time >= end) due = 0;
    if (due > BATCH) due = BATCH;
    for (unsigned i = 0; i < due; i++) {
      unsigned slot = freed[first_free];
      first_free = (first_free + 1) % SLOTS;
      vectors[i] = (struct iovec){buffers[i], question(buffers[i], slot, first + asked % count)};
      messages[i].msg_hdr = (struct msghdr){.msg_name = &server, .msg_namelen = sizeof server, .msg_iov = &vectors[i], .msg_iovlen = 1,
                                            .msg_control = control[i].bytes, .msg_controllen = sizeof control[i].bytes};
      struct cmsghdr *header = CMSG_FIRSTHDR(&messages[i].msg_hdr);
      header->cmsg_level = IPPROTO_IPV6;
      header->cmsg_type = IPV6_PKTINFO;
      header->cmsg_len = CMSG_LEN(sizeof(struct in6_pktinfo));
      struct in6_pktinfo from = {.ipi6_addr = source};
      from.ipi6_addr.s6_addr[15] = asked % SOURCES;
      memcpy(CMSG_DATA(header), &from, sizeof from);
      sent_at[slot] = time;
      asked++;
      outstanding++;
    }
    for (unsigned done = 0; done < due;) {
      int n = sendmmsg(udp, messages + done, due - done, 0);
      if (n < 0) {
        perror("sendmmsg");
        return 1;
      }
      done += n;
    }

    /* At full speed answers are taken many at a time: to wake up for each would cost more than the server spends on it. */
    struct timespec pause = {0, pace > 0 ? 100000 : 200000};
    struct pollfd wait = {udp, POLLIN, 0};
    if (pace > 0) ppoll(&wait, 1, &pause, NULL);
    else if (due < BATCH) nanosleep(&pause, NULL);
    {
      for (int i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){buffers[i], SIZE};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
      }
      int got = recvmmsg(udp, messages, BATCH, MSG_DONTWAIT, NULL);
      time = now();
      for (int i = 0; i < got; i++) {
        unsigned slot = buffers[i][0] << 8 | buffers[i][1];
        if (sent_at[slot] == 0) continue;
        double took = (time - sent_at[slot]) * 1e6;
        histogram[took > LONGEST ? LONGEST : (unsigned)took]++;
        if (buffers[i][3] & 15 || buffers[i][7] == 0) refused++;
        else answers++;
        sent_at[slot] = 0;
        last_free = (last_free + 1) % SLOTS;
        freed[last_free] = slot;
        outstanding--;
      }
    }
    /* A part of the slots each time round: what is overdue is lost. */
    for (int i = 0; i < 256; i++, swept++) {
      unsigned slot = swept % SLOTS;
      if (sent_at[slot] == 0 || time - sent_at[slot] < 1) continue;
      sent_at[slot] = 0;
      last_free = (last_free + 1) % SLOTS;
      freed[last_free] = slot;
      outstanding--;
      lost++;
    }
  }
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  printf("{\"answers\": %lu, \"seconds\": %.3f, \"lost\": %lu, \"refused\": %lu, \"p50\": %u, \"p99\": %u, \"cpu\": %.3f}\n", answers,
         seconds, lost, refused, percentile(answers + refused, 0.5), percentile(answers + refused, 0.99), cpu / seconds);
}
