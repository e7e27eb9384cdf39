/*
 * The bytes of one SMTP session as Postfix 3.7 sends them to a milter, laid out once for each answer to the offer and
 * shared by all sessions. A Plan is cut into segments; after each the MTA waits for a reply. A stage with NO_* is left
 * out; a stage with NR_* does not end its segment, so its bytes leave in one write with what follows. Macros and
 * command are always together, as Postfix writes them. Used by load.c only.
 */
enum { MAX_CHUNK = 65535, OFFER_LENGTH = 17 };

typedef struct {
  size_t end;            /* where in the plan's bytes this segment ends */
  unsigned char command; /* the command whose reply is awaited */
} Segment;

typedef struct Plan {
  uint32_t flags;
  unsigned char *bytes;
  size_t length, room;
  Segment *segments;
  int count;
  struct Plan *next;
} Plan;

typedef struct {
  size_t body;
  int headers, recipients;
} Shape;

static void put(Plan *p, const void *data, size_t length) {
  if (p->length + length > p->room) {
    p->room = (p->length + length) * 2;
    p->bytes = realloc(p->bytes, p->room);
  }
  memcpy(p->bytes + p->length, data, length);
  p->length += length;
}

static void put_frame(Plan *p, unsigned char command, const void *data, size_t length) {
  unsigned char head[5];
  put32(head, (uint32_t)length + 1), head[4] = command;
  put(p, head, 5), put(p, data, length);
}

/* Macros are written "name=value|name=value"; '=' and '|' stand for the NULs. */
static void stage(Plan *p, unsigned char command, uint32_t omit, uint32_t no_reply, const char *macros, const void *data,
                  size_t length) {
  if (p->flags & omit) return;
  unsigned char list[1024] = {command};
  size_t n = 1;
  for (const char *m = macros; *m != 0; m++) list[n++] = *m == '=' || *m == '|' ? 0 : (unsigned char)*m;
  if (n > 1) list[n++] = 0;
  put_frame(p, 'D', list, n);
  put_frame(p, command, data, length);
  if (p->flags & no_reply) return;
  p->segments = realloc(p->segments, sizeof(Segment) * (size_t)(p->count + 1));
  p->segments[p->count++] = (Segment){p->length, command};
}

static size_t pair(char *out, const char *name, const char *value) {
  size_t n = strlen(name) + 1, v = strlen(value) + 1;
  memcpy(out, name, n), memcpy(out + n, value, v);
  return n + v;
}

static const char *const HEADERS[][2] = {
    {"From", "Alice Example <alice@a.example>"},
    {"To", "Bob Example <bob@example.com>"},
    {"Subject", "Minutes of the meeting of last Thursday"},
    {"Date", "Tue, 24 Nov 2026 02:36:05 +0000 (UTC)"},
    {"Message-ID", "<20261124023605.1BBEB250540@a.example>"},
    {"MIME-Version", "1.0"},
    {"Content-Type", "text/plain; charset=utf-8;\n\tformat=flowed"},
    {"Content-Transfer-Encoding", "8bit"},
    {"User-Agent", "Example Mail 12.3"},
    {"X-Priority", "3"},
    {"In-Reply-To", "<20261123170000.0AAEB250540@b.example>"},
    {"References", "<20261122090000.0AAEB250540@b.example>\n <20261123170000.0AAEB250540@b.example>"},
    {"Received", "from laptop.a.example (laptop.a.example [192.0.2.7])\n\tby out.a.example (Postfix) with ESMTPSA id 0BBEB250540"},
    {"Reply-To", "alice@a.example"},
    {"Organization", "Example"},
};

static void put_body(Plan *p, size_t size) {
  static const char line[] = "The quick brown fox jumps over the lazy dog and then goes on for a while yet.\r\n";
  unsigned char *body = malloc(size + 1);
  for (size_t i = 0; i < size; i++) body[i] = (unsigned char)line[i % (sizeof line - 1)];
  if (size >= 2) body[size - 2] = '\r', body[size - 1] = '\n';
  for (size_t at = 0; at < size; at += MAX_CHUNK)
    stage(p, 'B', 0x10, 0x80000, "i=4fBench0xqz1", body + at, size - at < MAX_CHUNK ? size - at : MAX_CHUNK);
  free(body);
}

static Plan *make_plan(uint32_t flags, const Shape *shape) {
  Plan *p = calloc(1, sizeof *p);
  char text[512];
  p->flags = flags;
  size_t n = pair(text, "client.a.example", "4");
  memcpy(text + n - 1, "\x8c\xd7", 2), strcpy(text + n + 1, "192.0.2.25"); /* '4', a port, the address */
  stage(p, 'C', 0x1, 0x1000,
        "j=mx.example.com|{daemon_name}=mx.example.com|{daemon_addr}=192.0.2.1|v=Postfix 3.7.11|_=client.a.example [192.0.2.25]",
        text, n + 1 + strlen("192.0.2.25") + 1);
  stage(p, 'H', 0x2, 0x2000, "", "client.a.example", sizeof "client.a.example");
  stage(p, 'M', 0x4, 0x4000, "{mail_addr}=alice@a.example|{mail_host}=a.example|{mail_mailer}=smtp", text,
        pair(text, "<alice@a.example>", "SIZE=12000"));
  for (int i = 0; i < shape->recipients; i++) {
    char macros[128];
    snprintf(macros, sizeof macros, "%s{rcpt_addr}=user%d@example.com|{rcpt_host}=example.com|{rcpt_mailer}=lmtp",
             i ? "i=4fBench0xqz1|" : "", i);
    snprintf(text, sizeof text, "<user%d@example.com>", i);
    stage(p, 'R', 0x8, 0x8000, macros, text, strlen(text) + 1);
  }
  stage(p, 'T', 0x200, 0x10000, "i=4fBench0xqz1", "", 0);
  int known = (int)(sizeof HEADERS / sizeof HEADERS[0]);
  for (int i = 0; i < shape->headers; i++)
    stage(p, 'L', 0x20, 0x80, "i=4fBench0xqz1", text, pair(text, HEADERS[i % known][0], HEADERS[i % known][1]));
  stage(p, 'N', 0x40, 0x40000, "i=4fBench0xqz1", "", 0);
  put_body(p, shape->body);
  stage(p, 'E', 0, 0, "i=4fBench0xqz1", "", 0);
  return p;
}
