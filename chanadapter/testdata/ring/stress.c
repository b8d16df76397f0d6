/* Threads push, the reader of block.h reads, and the totals must add up: both halves of the protocol in C, for sanitizers
 * and for systems without Go's foreign threads. stress PRODUCERS COUNT SIZE MIRRORED HANDLER MILLISECONDS */
#define _GNU_SOURCE 1
#include "block.h"

#include "producers.h"

static uint64_t last[2048];
static int seen[2048];

static void check(const unsigned char *b, uint32_t length) {
  uint32_t id, said, i;
  uint64_t number, sum;
  MUST(length >= PRODUCER_LEAST);
  memcpy(&id, b, 4);
  memcpy(&said, b + 4, 4);
  memcpy(&number, b + 8, 8);
  memcpy(&sum, b + 16, 8);
  MUST(said == length && sum == producer_sum(id, length, number) && id < 2048);
  for (i = PRODUCER_LEAST; i < length; i++) MUST(b[i] == producer_filling(id, number, i));
  MUST(!seen[id] || number > last[id]);
  seen[id] = 1;
  last[id] = number;
}

typedef struct {
  producing *threads;
  int n, handler;
  pthread_t itself;
  int ended;
} crowd;

static void *crowd_end(void *argument) {
  crowd *c = (crowd *)argument;
  int i, round;
  if (c->handler)
    for (round = 0; round < 50; round++)
      for (i = 0; i < c->n; i++) producing_interrupt(&c->threads[i], 20);
  for (i = 0; i < c->n; i++) producing_join(&c->threads[i]);
  STORE(&c->ended, 1);
  return NULL;
}

int main(int argc, char **argv) {
  reader r;
  notifier_ring ring;
  crowd c;
  producer_results total;
  uint64_t received = 0, sent = 0, count;
  int i, patience, missed = 0;
  MUST(argc == 7);
  memset(&c, 0, sizeof c);
  memset(&total, 0, sizeof total);
  c.n = atoi(argv[1]);
  count = (uint64_t)atoll(argv[2]) / (uint64_t)c.n;
  c.handler = atoi(argv[5]);
  patience = atoi(argv[6]);
  /* Positions wrap round on the way, where they are 32 bits and where they are 64. */
  ring = reader_open(&r, (uint32_t)atol(argv[3]), atoi(argv[4]), (uintptr_t)0 - 4096 * 8);
  c.threads = (producing *)calloc((size_t)c.n, sizeof *c.threads);
  for (i = 0; i < c.n; i++) {
    producer *p = &c.threads[i].main;
    p->ring = ring;
    p->id = (uint32_t)i;
    p->least = PRODUCER_LEAST;
    p->most = 200;
    p->count = count;
    p->how = PRODUCE_MIXED;
    p->keep = i % 2;
    p->random = (uint64_t)i + 1;
    if (c.handler) {
      c.threads[i].handler = *p;
      c.threads[i].handler.id += 1000;
      c.threads[i].handler.keep = 0;
    }
    MUST(!producing_start(&c.threads[i]));
  }
  MUST(!pthread_create(&c.itself, NULL, crowd_end, &c));
  for (;;) {
    uint32_t length;
    void *rec;
    int ended = LOAD(&c.ended), settled, waited = 0;
    while ((rec = reader_take(&r, &length))) {
      check((const unsigned char *)rec, length);
      reader_drop(&r, length);
      received++;
    }
    settled = reader_settle(&r);
    if (settled > 0) continue;
    if (ended && !reader_reserved(&r)) break;
    /* Asleep before a reserved record it looks again by itself; otherwise somebody must wake it. */
    for (;;) {
      int over = LOAD(&c.ended);
      if (reader_wait(&r, 1)) break;
      if (settled < 0) {
        missed += reader_final(&r);
        break;
      }
      if (over && !reader_reserved(&r)) break;
      if (over || ++waited > patience) {
        fprintf(stderr, "nobody wakes the reader: %s\n", reader_reserved(&r) ? "there are records" : "nothing is there");
        return 1;
      }
    }
  }
  pthread_join(c.itself, NULL);
  for (i = 0; i < c.n; i++) {
    int k;
    for (k = 0; k < 2; k++) {
      producer_results *p = k ? &c.threads[i].handler.results : &c.threads[i].main.results;
      total.ok += p->ok;
      total.coalesced += p->coalesced;
      total.full += p->full;
      total.discarded += p->discarded;
      MUST(!p->changed && !p->invalid && !p->failed && !p->closed && !p->too_large);
    }
  }
  sent = total.ok + total.coalesced;
  printf("sent %llu received %llu full %llu lost %llu; woken %llu times, %d commits missed the reader\n", (unsigned long long)sent,
         (unsigned long long)received, (unsigned long long)total.full, (unsigned long long)reader_lost(&r),
         (unsigned long long)r.wakeups, missed);
  MUST(sent == received && total.full == reader_lost(&r));
  reader_shut(&r);
  MUST(notifier_ring_push(ring, "", 0) == NOTIFIER_CLOSED);
  free(c.threads);
  reader_free(&r);
  return 0;
}
