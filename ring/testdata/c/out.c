/* The writer's half of an Out, and its end, in C: the steps of out.go and outblock.go in the same order; and threads that read
 * it through ring.h. The totals must add up; what hangs is ended from outside. Linux.
 *   out stress COUNT HOW INTERRUPT THREADS PLAIN   HOW and INTERRUPT as in consumers.h
 *   out close ROUNDS HOW                           Outs come and go on one control block, while a thread reads */
#define _GNU_SOURCE 1
#include "consumers.h"

#include "words.h"

#include <sys/mman.h>

typedef struct {
  char *control, *data;
  uint32_t size, generation;
  uintptr_t position, read;
  int plain; /* records are written by ordinary stores: nobody reads what somebody else took */
} writer;

static uintptr_t *consumer_of(writer *w) { return native_at(w->control, NOTIFIER_OUT_OFFSET_CONSUMER); }

/* openOut. Every Out has data of its own. */
static notifier_out writer_open(writer *w, uintptr_t position) {
  w->data = (char *)mmap(NULL, w->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MUST(w->data != MAP_FAILED);
  w->generation += 2;
  w->position = w->read = position;
  STORE(word_at(w->control, NOTIFIER_OUT_OFFSET_MAGIC), NOTIFIER_OUT_MAGIC);
  STORE(word_at(w->control, NOTIFIER_OUT_OFFSET_SIZE), w->size);
  STORE(word_at(w->control, NOTIFIER_OUT_OFFSET_MAX), w->size / 2 - NOTIFIER_OUT_HEADER_SIZE);
  STORE(native_at(w->control, NOTIFIER_OUT_OFFSET_DATA), (uintptr_t)w->data);
  STORE(native_at(w->control, NOTIFIER_OUT_OFFSET_HELD), 0);
  STORE(native_at(w->control, NOTIFIER_OUT_OFFSET_POSITION), position);
  STORE(word_at(w->control, NOTIFIER_OUT_OFFSET_GENERATION), w->generation);
  STORE(word_at(w->control, NOTIFIER_OUT_OFFSET_ABI), NOTIFIER_OUT_ABI);
  STORE(consumer_of(w), position);
  return (notifier_out)(uintptr_t)w->control >> NOTIFIER_RING_BASE_SHIFT << NOTIFIER_RING_GENERATION_BITS | w->generation;
}

static char *writer_put(writer *w, uintptr_t p, uint32_t state) {
  char *h = w->data + (p & (w->size - 1));
  STORE(word_at(h, 0), state);
  STORE(word_at(h, 4), (uint32_t)p ^ NOTIFIER_OUT_MAGIC);
  return h;
}

/* write. 0: there is no room. */
static int writer_write(writer *w, const unsigned char *rec, uint32_t n) {
  uintptr_t span = NOTIFIER_OUT_HEADER_SIZE + (((uintptr_t)n + 7) & ~(uintptr_t)7), rest = w->size - (w->position & (w->size - 1));
  uintptr_t pad = span > rest ? rest : 0, at = w->position;
  char *h;
  uint32_t i;
  if (pad + span > w->size - (w->position - w->read)) {
    uintptr_t now = LOAD(consumer_of(w));
    MUST(!(now & NOTIFIER_OUT_POSITION_MASK) && now - w->read <= w->position - w->read);
    w->read = now;
    if (pad + span > w->size - (w->position - w->read)) return 0;
  }
  if (pad) writer_put(w, at, NOTIFIER_OUT_PADDING | (uint32_t)(pad - NOTIFIER_OUT_HEADER_SIZE));
  at += pad;
  h = writer_put(w, at, n) + NOTIFIER_OUT_HEADER_SIZE;
  if (w->plain) memcpy(h, rec, n);
  else
    for (i = 0; i < n; i++) __atomic_store_n(h + i, (char)rec[i], __ATOMIC_RELAXED);
  w->position = at + span;
  STORE(native_at(w->control, NOTIFIER_OUT_OFFSET_POSITION), w->position);
  return 1;
}

/* close and sweepOuts. 0: somebody uses the data. */
static void writer_shut(writer *w) {
  (void)__atomic_fetch_or(consumer_of(w), NOTIFIER_OUT_CLOSED_BIT, __ATOMIC_SEQ_CST);
  STORE(word_at(w->control, NOTIFIER_OUT_OFFSET_GENERATION), w->generation + 1);
}
static int writer_sweep(writer *w) {
  if (LOAD(word_at(w->control, NOTIFIER_OUT_OFFSET_INSIDE)) || LOAD(native_at(w->control, NOTIFIER_OUT_OFFSET_HELD))) return 0;
  MUST(!munmap(w->data, w->size));
  return 1;
}

/* Signals for the threads, from a thread. */
typedef struct {
  consuming *threads;
  int n, stop;
  pthread_t itself;
} noise;

static void *noise_main(void *argument) {
  noise *s = (noise *)argument;
  int i;
  while (!LOAD(&s->stop))
    for (i = 0; i < s->n; i++) consuming_signal(&s->threads[i], 10);
  return NULL;
}

#define MOST_THREADS 8
static consuming threads[MOST_THREADS];

static void start(int n, notifier_out out, int how, int interrupt, noise *s) {
  int i;
  for (i = 0; i < n; i++) {
    threads[i].main.out = threads[i].handler.out = out;
    threads[i].main.how = how;
    threads[i].interrupt = interrupt;
    MUST(!consuming_start(&threads[i]));
  }
  s->threads = threads;
  s->n = n;
  if (interrupt) MUST(!pthread_create(&s->itself, NULL, noise_main, s));
}

/* Returns how many records were read, and in jumps how often a thread jumped away. */
static uint64_t finish(noise *s, int interrupt, uint64_t *jumps) {
  uint64_t read = 0;
  int i;
  STORE(&s->stop, 1);
  if (interrupt) pthread_join(s->itself, NULL);
  *jumps = 0;
  for (i = 0; i < s->n; i++) {
    consuming *c = &threads[i];
    consuming_join(c);
    MUST(!c->main.wrong && !c->main.changed && !c->handler.wrong && !c->handler.changed && !c->handler.again);
    MUST(!c->main.again || interrupt == INTERRUPT_JUMP);
    read += c->main.read + c->handler.read;
    *jumps += c->jumps;
  }
  return read;
}

static uint32_t length_of(uint64_t number) { return (uint32_t)(PRODUCER_LEAST + number * 13 % 400); }

static int stress(writer *w, uint64_t count, int how, int interrupt, int n) {
  unsigned char rec[512];
  /* Positions wrap round on the way. */
  notifier_out out = writer_open(w, (uintptr_t)0 - 4096 * 8);
  uint64_t number, read, jumps;
  noise s;
  memset(&s, 0, sizeof s);
  start(n, out, how, interrupt, &s);
  for (number = 0; number < count; number++) {
    producer_fill(rec, 1, length_of(number), number);
    while (!writer_write(w, rec, length_of(number))) sched_yield();
  }
  read = finish(&s, interrupt, &jumps);
  printf("%llu written, %llu read, %llu jumps\n", (unsigned long long)count, (unsigned long long)read, (unsigned long long)jumps);
  MUST(read <= count && read + jumps >= count && LOAD(consumer_of(w)) == w->position);
  writer_shut(w);
  MUST(interrupt == INTERRUPT_JUMP || writer_sweep(w));
  return 0;
}

/* A thread that reads whatever Out there is at the moment. */
static notifier_out present;
static int over;

static void *follow(void *argument) {
  consumer *c = (consumer *)argument;
  while (!LOAD(&over)) {
    notifier_out now = LOAD(&present);
    if (now != c->out) {
      /* It is still asked for the one before, from time to time. */
      (void)consumer_receive(c);
      c->out = now;
      memset(c->next, 0, sizeof c->next);
    }
    (void)consumer_receive(c);
  }
  return NULL;
}

static int closes(writer *w, uint64_t rounds, int how) {
  unsigned char rec[512];
  uint64_t round, number, kept = 0;
  consumer c;
  pthread_t thread;
  memset(&c, 0, sizeof c);
  c.how = how;
  STORE(&present, writer_open(w, 1 << 20));
  c.out = present;
  MUST(!pthread_create(&thread, NULL, follow, &c));
  for (round = 0; round < rounds; round++) {
    for (number = 0; number < round % 40; number++) {
      producer_fill(rec, 1, length_of(number), number);
      while (!writer_write(w, rec, length_of(number))) sched_yield();
    }
    writer_shut(w);
    while (!writer_sweep(w)) {
      kept++;
      sched_yield();
    }
    STORE(&present, writer_open(w, (w->position + 4096) & ~(uintptr_t)4095));
  }
  STORE(&over, 1);
  pthread_join(thread, NULL);
  printf("%llu read of %llu Outs, %llu looks found somebody inside\n", (unsigned long long)c.read, (unsigned long long)rounds,
         (unsigned long long)kept);
  MUST(!c.wrong && !c.changed && !c.again);
  return 0;
}

int main(int argc, char **argv) {
  writer w;
  memset(&w, 0, sizeof w);
  w.size = 4096;
  w.control = (char *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MUST(w.control != MAP_FAILED);
  if (argc == 7 && !strcmp(argv[1], "stress")) {
    w.plain = atoi(argv[6]);
    return stress(&w, (uint64_t)atoll(argv[2]), atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
  }
  if (argc == 4 && !strcmp(argv[1], "close")) {
    w.plain = atoi(argv[3]);
    return closes(&w, (uint64_t)atoll(argv[2]), atoi(argv[3]));
  }
  fprintf(stderr, "what to do?\n");
  return 2;
}
