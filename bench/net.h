/*
 * What the two C tools of the bench share: socket addresses, clocks and the CPU time of this process.
 * Loopback only: an address is unix:/path or inet:PORT@127.0.0.1, in the two spellings the MTAs use, and
 * nothing here resolves a name. Included by load.c and sink.c, each of which is one file and one process.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  union {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_un un;
  } to;
  socklen_t length;
  int family;
} Address;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(2);
}

static Address parse_address(const char *text) {
  Address a;
  memset(&a, 0, sizeof a);
  if (strncmp(text, "inet:", 5) == 0) {
    char host[64], rest;
    int port;
    if (sscanf(text + 5, "%d@%63[0-9.]%c", &port, host, &rest) != 2 &&
        sscanf(text + 5, "%63[0-9.]:%d%c", host, &port, &rest) != 2)
      die("cannot read the address %s", text);
    a.family = a.to.in.sin_family = AF_INET;
    a.to.in.sin_port = htons((uint16_t)port);
    a.length = sizeof a.to.in;
    if (inet_pton(AF_INET, host, &a.to.in.sin_addr) != 1) die("not a numeric IPv4 address: %s", text);
    if ((ntohl(a.to.in.sin_addr.s_addr) >> 24) != 127) die("loopback only: %s", text);
    return a;
  }
  const char *path = strncmp(text, "unix:", 5) == 0 ? text + 5 : text;
  a.family = a.to.un.sun_family = AF_UNIX;
  if (strlen(path) >= sizeof a.to.un.sun_path) die("socket path too long: %s", path);
  strcpy(a.to.un.sun_path, path);
  a.length = sizeof a.to.un;
  return a;
}

static inline uint32_t get32(const unsigned char *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void put32(unsigned char *p, uint32_t v) {
  p[0] = (unsigned char)(v >> 24), p[1] = (unsigned char)(v >> 16), p[2] = (unsigned char)(v >> 8), p[3] = (unsigned char)v;
}

static inline double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline double own_cpu(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static inline void allow_many_files(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

static inline void no_delay(int fd, int family) {
  int on = 1;
  if (family == AF_INET) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}
