/*
 * load --to ADDRESS [--connections N] [--seconds S] [--count N] [--body BYTES] [--headers N] [--recipients N] [--write BYTES]
 *
 * Plays an MTA to a milter: N SMTP sessions at a time, each one milter connection with one message, then a new one.
 * It offers version 6 and everything, honours NO_* and NR_* in the answer, and takes edits before the last reply. It
 * is not a conformance test: the one thing it insists on is that each message is let through; anything else is an error
 * of that session, counted by kind. Ends after S seconds or N messages, whichever is first, and lets open sessions
 * finish. Prints one line of JSON. --write caps one write(2); Postfix on a UNIX socket writes 4096 at a time.
 */
#include "net.h"

#include "conversation.h"

static const double STALL_SECONDS = 20;

typedef struct {
  int fd, segment, offering; /* offering: the reply to OPTNEG is awaited */
  Plan *plan;
  size_t written;
  double began;
  unsigned char head[17]; /* of the reply being read: length, letter, twelve bytes of an answer to the offer */
  uint32_t filled, left;
  int armed; /* EPOLLOUT is on */
} Session;

static Address target;
static Shape shape = {10240, 15, 1};
static int loop, connections = 10, live;
static double seconds = 5, deadline, last_progress;
static unsigned long count_limit, begun, messages, edits, replies, early, errors;
static unsigned long refused, closed, verdicts, protocol;
static size_t write_limit = 1 << 22;
static Plan *plans;
static uint32_t *latencies;
static size_t latency_room;
static Session **waiting; /* sessions whose connect(2) met a full backlog */
static int waiting_count;
static unsigned char input[1 << 17];
static const unsigned char OFFER[OFFER_LENGTH] = {0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff};
static const unsigned char GOODBYE[] = {0, 0, 0, 1, 'A', 0, 0, 0, 1, 'A', 0, 0, 0, 1, 'Q'}; /* as Postfix ends */

static void start(Session *s);

static Plan *plan_for(uint32_t flags) {
  for (Plan *p = plans; p != NULL; p = p->next)
    if (p->flags == flags) return p;
  Plan *p = make_plan(flags, &shape);
  p->next = plans;
  return plans = p;
}

static void finish(Session *s) {
  close(s->fd);
  live--;
  if (now() < deadline && (count_limit == 0 || begun < count_limit)) start(s);
}

static void fail(Session *s, unsigned long *kind) {
  errors++, (*kind)++;
  if (errors > 1000 && messages == 0) deadline = 0;
  finish(s);
}

static void complete(Session *s) {
  if (messages == latency_room) {
    latency_room = latency_room ? latency_room * 2 : 65536;
    latencies = realloc(latencies, latency_room * sizeof *latencies);
  }
  double t = now();
  latencies[messages++] = (uint32_t)((t - s->began) * 1e6);
  last_progress = t;
  if (write(s->fd, GOODBYE, sizeof GOODBYE) < 0 && errno != EPIPE && errno != ECONNRESET) errors++;
  finish(s);
}

static void arm(Session *s, int want_write) {
  if (s->armed == want_write) return;
  s->armed = want_write;
  struct epoll_event event = {.events = EPOLLIN | (want_write ? EPOLLOUT : 0), .data.ptr = s};
  epoll_ctl(loop, EPOLL_CTL_MOD, s->fd, &event);
}

/* 0 when the session is over. */
static int send_segment(Session *s) {
  size_t end = s->plan->segments[s->segment].end;
  while (s->written < end) {
    size_t n = end - s->written < write_limit ? end - s->written : write_limit;
    ssize_t done = write(s->fd, s->plan->bytes + s->written, n);
    if (done < 0) {
      if (errno == EAGAIN) { arm(s, 1); return 1; }
      fail(s, &closed);
      return 0;
    }
    s->written += (size_t)done;
  }
  arm(s, 0);
  return 1;
}

/* One whole reply; 0 when the session is over. */
static int reply(Session *s) {
  unsigned char letter = s->head[4];
  replies++;
  if (s->offering) {
    if (letter != 'O' || s->filled < OFFER_LENGTH) { fail(s, &protocol); return 0; }
    s->offering = 0, s->segment = 0, s->written = 0;
    s->plan = plan_for(get32(s->head + 13));
    return send_segment(s);
  }
  Segment *at = &s->plan->segments[s->segment];
  if (letter == 'p') return 1;
  if (s->written < at->end) { fail(s, &protocol); return 0; }
  if (at->command == 'E' && memchr("him+-2ebq", letter, 9) != NULL) { edits++; return 1; }
  if (letter == 'a' || (letter == 'c' && at->command == 'E')) {
    early += at->command != 'E';
    complete(s);
    return 0;
  }
  if (letter == 's' && at->command == 'B') {
    while (s->plan->segments[s->segment + 1].command == 'B') s->segment++;
    s->written = s->plan->segments[s->segment].end;
  } else if (letter != 'c') {
    fail(s, memchr("rtdy4f", letter, 6) != NULL ? &verdicts : &protocol);
    return 0;
  }
  s->segment++;
  return send_segment(s);
}

static void readable(Session *s) {
  ssize_t got = read(s->fd, input, sizeof input);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) { fail(s, &closed); return; }
  unsigned char *p = input, *end = input + got;
  while (p < end) {
    if (s->left > 0) {
      uint32_t n = (uint32_t)(end - p) < s->left ? (uint32_t)(end - p) : s->left;
      for (uint32_t i = 0; i < n && s->filled < 17; i++) s->head[s->filled++] = p[i];
      s->left -= n, p += n;
    } else {
      s->head[s->filled++] = *p++;
      if (s->filled < 5) continue;
      s->left = get32(s->head) - 1;
      if (s->left > 1u << 30) { fail(s, &protocol); return; }
    }
    if (s->filled >= 5 && s->left == 0) {
      if (!reply(s)) return;
      s->filled = 0;
    }
  }
}

static void connect_now(Session *s) {
  if (connect(s->fd, &target.to.sa, target.length) < 0 && errno != EINPROGRESS) {
    /* A full backlog of a UNIX socket is EAGAIN, and nothing tells when there is room again. */
    if (errno == EAGAIN) { waiting[waiting_count++] = s; return; }
    /* Not fail(): a new attempt at once would only meet the same refusal. */
    errors++, refused++, live--, deadline = 0;
    close(s->fd);
    return;
  }
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
  s->armed = 0;
  epoll_ctl(loop, EPOLL_CTL_ADD, s->fd, &event);
  if (target.family == AF_INET) no_delay(s->fd, AF_INET);
  if (write(s->fd, OFFER, sizeof OFFER) != (ssize_t)sizeof OFFER) fail(s, &closed);
}

static void start(Session *s) {
  int fd = socket(target.family, SOCK_STREAM | SOCK_CLOEXEC | (target.family == AF_UNIX ? SOCK_NONBLOCK : 0), 0);
  if (fd < 0) die("socket: %s", strerror(errno));
  *s = (Session){.fd = fd, .offering = 1, .began = now()};
  begun++, live++;
  connect_now(s);
  /* A loopback connect over TCP is done in the call; after it the socket must not block. */
  if (target.family == AF_INET) fcntl(fd, F_SETFL, O_NONBLOCK);
}

static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static double quantile(double q) {
  return messages == 0 ? 0 : latencies[(size_t)(q * (double)(messages - 1))] / 1000.0;
}

static double number(int argc, char **argv, const char *name, double otherwise) {
  for (int i = 1; i + 1 < argc; i += 2)
    if (strcmp(argv[i], name) == 0) return atof(argv[i + 1]);
  return otherwise;
}

static void read_options(int argc, char **argv) {
  static const char *const known[] = {"--to", "--connections", "--seconds", "--count", "--body", "--headers", "--recipients", "--write"};
  const char *to = NULL;
  for (int i = 1; i < argc; i += 2) {
    size_t k = 0;
    while (k < sizeof known / sizeof known[0] && strcmp(known[k], argv[i]) != 0) k++;
    if (k == sizeof known / sizeof known[0]) die("load: unknown option %s", argv[i]);
    if (i + 1 == argc) die("load: %s needs a value", argv[i]);
    if (k == 0) to = argv[i + 1];
  }
  if (to == NULL) die("usage: load --to ADDRESS [--connections N] [--seconds S] [--count N] [--body BYTES] ...");
  target = parse_address(to);
  connections = (int)number(argc, argv, "--connections", connections);
  seconds = number(argc, argv, "--seconds", seconds);
  count_limit = (unsigned long)number(argc, argv, "--count", 0);
  shape.body = (size_t)number(argc, argv, "--body", (double)shape.body);
  shape.headers = (int)number(argc, argv, "--headers", shape.headers);
  shape.recipients = (int)number(argc, argv, "--recipients", shape.recipients);
  write_limit = (size_t)number(argc, argv, "--write", (double)write_limit);
  if (connections < 1 || connections > 20000 || seconds <= 0 || seconds > 600 || write_limit < 1) die("load: out of range");
}

int main(int argc, char **argv) {
  read_options(argc, argv);
  allow_many_files();
  signal(SIGPIPE, SIG_IGN);
  loop = epoll_create1(EPOLL_CLOEXEC);
  Session *sessions = calloc((size_t)connections, sizeof *sessions);
  waiting = calloc((size_t)connections, sizeof *waiting);
  double began = last_progress = now();
  deadline = began + seconds;
  for (int i = 0; i < connections && (count_limit == 0 || begun < count_limit); i++) start(&sessions[i]);
  int stalled = 0;
  struct epoll_event events[256];
  while (live > 0 && !stalled) {
    int n = epoll_wait(loop, events, 256, waiting_count ? 1 : 1000);
    for (int i = 0; i < n; i++) {
      Session *s = events[i].data.ptr;
      if (events[i].events & EPOLLOUT) {
        if (!send_segment(s)) continue;
        if (!(events[i].events & ~(uint32_t)EPOLLOUT)) continue;
      }
      readable(s);
    }
    int again = waiting_count;
    waiting_count = 0;
    Session *retry[256];
    for (int done = 0; done < again; done += 256) {
      int part = again - done < 256 ? again - done : 256;
      memcpy(retry, waiting + done, (size_t)part * sizeof *retry);
      for (int i = 0; i < part; i++) connect_now(retry[i]);
    }
    stalled = now() - last_progress > STALL_SECONDS;
  }
  double took = now() - began;
  qsort(latencies, messages, sizeof *latencies, by_value);
  printf("{\"messages\":%lu,\"errors\":%lu,\"refused\":%lu,\"closed\":%lu,\"verdicts\":%lu,\"protocol\":%lu,\"stalled\":%s,"
         "\"early\":%lu,\"edits\":%lu,\"replies\":%lu,\"seconds\":%.4f,\"perSecond\":%.2f,\"p50\":%.3f,\"p99\":%.3f,\"cpu\":%.4f}\n",
         messages, errors, refused, closed, verdicts, protocol, stalled ? "true" : "false", early, edits, replies, took,
         (double)messages / took, quantile(0.5), quantile(0.99), own_cpu());
  return errors > 0 || stalled ? 1 : 0;
}
