/* Threads push, the reader of reader.h reads, and the totals must add up: both halves of the protocol in C, for sanitizers
 * and for systems without Go's foreign threads. HANDLER: 1: signal handlers push too; 2: the threads wait for room, and one does
 * so when the ring ends. stress PRODUCERS COUNT SIZE MIRRORED HANDLER MILLISECONDS */
#define _GNU_SOURCE 1
#include "reader.h"

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

/* A thread that waits for room is told of the end, and nothing waits after it. */
static void end_while_one_waits(reader *r, notifier_ring ring) {
  uint32_t *waiting = word_at(r->control, NOTIFIER_RING_OFFSET_WAITING);
  producing last_one;
  while (notifier_ring_try(ring, "", 0) >= 0) {
  }
  memset(&last_one, 0, sizeof last_one);
  last_one.main.ring = ring;
  last_one.main.least = last_one.main.most = PRODUCER_LEAST;
  last_one.main.count = 1;
  last_one.main.how = PRODUCE_WAIT;
  MUST(!producing_start(&last_one));
  while (!(LOAD(waiting) & NOTIFIER_RING_ASKED)) sched_yield();
  reader_shut(r);
  producing_join(&last_one);
  MUST(last_one.main.results.closed == 1);
  MUST(notifier_ring_wait(ring, 1, -1) == NOTIFIER_CLOSED);
}

int main(int argc, char **argv) {
  reader r;
  notifier_ring ring;
  crowd c;
  producer_results total;
  uint64_t received = 0, sent = 0, count;
  int i, patience, waits, missed = 0;
  MUST(argc == 7);
  memset(&c, 0, sizeof c);
  memset(&total, 0, sizeof total);
  c.n = atoi(argv[1]);
  count = (uint64_t)atoll(argv[2]) / (uint64_t)c.n;
  c.handler = atoi(argv[5]) == 1;
  waits = atoi(argv[5]) == 2;
  patience = atoi(argv[6]);
  /* Positions wrap round on the way, where they are 32 bits and where they are 64. */
  ring = reader_open(&r, (uint32_t)atol(argv[3]), atoi(argv[4]), (uintptr_t)0 - 4096 * 8);
  /* Then nobody's next record makes up for a producer that was not woken. */
  if (waits && c.n == 1) r.step = r.size;
  c.threads = (producing *)calloc((size_t)c.n, sizeof *c.threads);
  for (i = 0; i < c.n; i++) {
    producer *p = &c.threads[i].main;
    p->ring = ring;
    p->id = (uint32_t)i;
    p->least = PRODUCER_LEAST;
    p->most = 200;
    p->count = count;
    p->how = waits ? PRODUCE_WAIT : PRODUCE_MIXED;
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
  if (waits) {
    MUST(sent == count * (uint64_t)c.n);
    MUST(!LOAD(word_at(r.control, NOTIFIER_RING_OFFSET_OWNER)));
    MUST(LOAD(word_at(r.control, NOTIFIER_RING_OFFSET_TURN)) == LOAD(word_at(r.control, NOTIFIER_RING_OFFSET_QUEUE)));
    end_while_one_waits(&r, ring);
  } else {
    reader_shut(&r);
  }
  MUST(notifier_ring_push(ring, "", 0) == NOTIFIER_CLOSED);
  free(c.threads);
  reader_free(&r);
  return 0;
}
