/*
 * sink [--nr] [--edit] ADDRESS...
 *
 * Plays one or several external milters, one for each ADDRESS, and answers 'c' to every command at once. It is the
 * cheapest milter there is, so that what a measurement shows is the cost of what stands in front of it. It judges
 * nothing and checks only the framing.
 *
 *   --nr    asks not to answer any command but the end of the message (what rspamd does)
 *   --edit  adds one header at the end of the message
 *
 * Writes "ready" when it listens; counts as one line of JSON on SIGUSR1 and when SIGTERM ends it.
 */
#include "net.h"

enum { MAX_LISTENERS = 16, NR_ALL = 0x000ff080, ADDHDRS = 1 };

typedef struct {
  int fd, listener, family;
  uint32_t protocol;
  unsigned char head[17]; /* length, command and, for an offer, its twelve bytes */
  uint32_t filled, left;  /* bytes in head; payload bytes still to pass over */
} Conn;

static struct {
  int fd, family;
  unsigned long connections, messages, commands;
} listeners[MAX_LISTENERS];
static int listener_count, want_nr, want_edit, loop;
static unsigned long broken, bytes_in;
static volatile sig_atomic_t want_report, want_end;
static unsigned char input[1 << 18], output[1 << 18];
static const unsigned char EDIT[] = "\0\0\0\x13hX-Bench-Sink\0seen";

static void on_signal(int signal) { *(signal == SIGUSR1 ? &want_report : &want_end) = 1; }

static void report(void) {
  unsigned long connections = 0, messages = 0, commands = 0;
  for (int i = 0; i < listener_count; i++) {
    connections += listeners[i].connections;
    messages += listeners[i].messages;
    commands += listeners[i].commands;
  }
  printf("{\"connections\":%lu,\"messages\":%lu,\"commands\":%lu,\"bytes\":%lu,\"broken\":%lu,\"cpu\":%.4f,\"perMilter\":[",
         connections, messages, commands, bytes_in, broken, own_cpu());
  for (int i = 0; i < listener_count; i++) printf("%s%lu", i ? "," : "", listeners[i].messages);
  printf("]}\n");
  fflush(stdout);
}

static uint32_t no_reply_bit(unsigned char command) {
  switch (command) {
    case 'C': return 0x1000;
    case 'H': return 0x2000;
    case 'M': return 0x4000;
    case 'R': return 0x8000;
    case 'T': return 0x10000;
    case 'U': return 0x20000;
    case 'L': return 0x80;
    case 'N': return 0x40000;
    case 'B': return 0x80000;
    default: return 0;
  }
}

/* The answer to one whole command, appended at `at`; the new end, or NULL when the connection is over. */
static unsigned char *answer(Conn *c, unsigned char *at) {
  unsigned char command = c->head[4];
  listeners[c->listener].commands++;
  switch (command) {
    case 'D': case 'A': case 'K': return at;
    case 'Q': return NULL;
    case 'O':
      if (c->filled < 17) return NULL;
      c->protocol = want_nr ? get32(c->head + 13) & NR_ALL : 0;
      put32(at, 13), at[4] = 'O';
      put32(at + 5, get32(c->head + 5)), put32(at + 9, want_edit ? ADDHDRS : 0), put32(at + 13, c->protocol);
      return at + 17;
    case 'E':
      listeners[c->listener].messages++;
      if (want_edit) memcpy(at, EDIT, sizeof EDIT), at += sizeof EDIT;
      break;
    default:
      if (c->protocol & no_reply_bit(command)) return at;
  }
  put32(at, 1), at[4] = 'c';
  return at + 5;
}

static void drop(Conn *c, int is_broken) {
  broken += (unsigned)is_broken;
  close(c->fd);
  free(c);
}

static void readable(Conn *c) {
  ssize_t got = read(c->fd, input, sizeof input);
  if (got <= 0) {
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    drop(c, got < 0);
    return;
  }
  bytes_in += (unsigned long)got;
  unsigned char *p = input, *end = input + got, *out = output;
  while (p < end) {
    if (c->left > 0) {
      uint32_t n = (uint32_t)(end - p) < c->left ? (uint32_t)(end - p) : c->left;
      for (uint32_t i = 0; i < n && c->filled < 17; i++) c->head[c->filled++] = p[i];
      c->left -= n, p += n;
    } else {
      c->head[c->filled++] = *p++;
      if (c->filled < 5) continue;
      c->left = get32(c->head) - 1;
      if (c->left > 1 << 28) { drop(c, 1); return; }
    }
    if (c->filled >= 5 && c->left == 0) {
      if (out > output + sizeof output - 64) { drop(c, 1); return; }
      out = answer(c, out);
      if (out == NULL) { drop(c, 0); return; }
      c->filled = 0;
    }
  }
  /* An answer is a few bytes and the peer waits for it: a full socket here means a peer that does not read. */
  if (out > output && write(c->fd, output, (size_t)(out - output)) != out - output) drop(c, 1);
}

static void accept_all(int index) {
  for (int fd; (fd = accept4(listeners[index].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
    Conn *c = calloc(1, sizeof *c);
    c->fd = fd, c->listener = index, c->family = listeners[index].family;
    no_delay(fd, c->family);
    listeners[index].connections++;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
  }
}

static void add_listener(const char *text) {
  if (listener_count == MAX_LISTENERS) die("at most %d addresses", MAX_LISTENERS);
  Address a = parse_address(text);
  int fd = socket(a.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, &a.to.sa, a.length) < 0 || listen(fd, 4096) < 0) die("cannot listen on %s: %s", text, strerror(errno));
  if (a.family == AF_UNIX && chmod(a.to.un.sun_path, 0777) < 0) die("chmod %s: %s", text, strerror(errno));
  listeners[listener_count].fd = fd, listeners[listener_count].family = a.family;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listeners[listener_count++]};
  epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
}

int main(int argc, char **argv) {
  allow_many_files();
  signal(SIGPIPE, SIG_IGN);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR1, &action, NULL), sigaction(SIGTERM, &action, NULL), sigaction(SIGINT, &action, NULL);
  sigset_t all, none;
  sigfillset(&all), sigemptyset(&none);
  sigprocmask(SIG_BLOCK, &all, NULL); /* signals come only while epoll waits, so none is missed */
  loop = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--nr") == 0) want_nr = 1;
    else if (strcmp(argv[i], "--edit") == 0) want_edit = 1;
    else if (argv[i][0] == '-') die("sink: unknown option %s", argv[i]);
    else add_listener(argv[i]);
  }
  if (listener_count == 0) die("usage: sink [--nr] [--edit] ADDRESS...");
  printf("ready\n"), fflush(stdout);
  struct epoll_event events[256];
  while (!want_end) {
    int count = epoll_pwait(loop, events, 256, -1, &none);
    if (want_report) want_report = 0, report();
    for (int i = 0; i < count; i++) {
      char *at = events[i].data.ptr;
      if (at >= (char *)listeners && at < (char *)(listeners + MAX_LISTENERS))
        accept_all((int)((at - (char *)listeners) / (long)sizeof listeners[0]));
      else readable(events[i].data.ptr);
    }
  }
  report();
  return 0;
}
