//go:build e2e && linux

package curl

// This file holds the C side: transfers whose bytes are checked, and a list of what
// libcurl asks to be watched. Go reads that list after each call into libcurl, so no
// callback enters Go.

/*
#cgo pkg-config: libcurl
#include <curl/curl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 1 << 16 };

// block is what the server sends, again and again.
static unsigned char block[2 * BLOCK];

static void fill(const void *from) {
	memcpy(block, from, BLOCK);
	memcpy(block + BLOCK, from, BLOCK);
}

typedef struct { int fd, what; } wish;

typedef struct client client;
typedef struct {
	client *of;
	CURL *easy;
	int64_t started, got;
	int wrong, error;
	long code;
} transfer;

struct client {
	CURLM *multi;
	int watched; // libcurl says what to watch
	transfer *transfers;
	int parallel;
	char url[256];
	int fresh; // each transfer has a connection of its own

	wish *wishes;
	int nwishes, room;
	long timeout; // what libcurl asked for last: -1 none
	int timeout_set;
};

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static size_t body(char *p, size_t size, size_t n, void *arg) {
	transfer *t = arg;
	n *= size;
	for (size_t done = 0; done < n;) {
		size_t part = n - done < BLOCK ? n - done : BLOCK;
		if (memcmp(block + (t->got + done) % BLOCK, p + done, part)) t->wrong = 1;
		done += part;
	}
	t->got += n;
	return n;
}

static int on_socket(CURL *e, curl_socket_t fd, int what, void *arg, void *socket) {
	client *c = arg;
	(void)e, (void)socket;
	if (c->nwishes == c->room) c->wishes = realloc(c->wishes, (c->room = 2 * c->room + 64) * sizeof(wish));
	c->wishes[c->nwishes++] = (wish){fd, what};
	return 0;
}

enum { CLOSED = 1 << 8 }; // beside CURL_POLL_…: the socket is closed, and not only unwanted

static int on_close(void *arg, curl_socket_t fd) {
	if (((client *)arg)->watched) on_socket(NULL, fd, CLOSED, arg, NULL);
	return close(fd);
}

static int on_timer(CURLM *m, long timeout, void *arg) {
	client *c = arg;
	(void)m;
	c->timeout = timeout;
	c->timeout_set = 1;
	return 0;
}

static void ask(client *c, transfer *t) {
	t->started = now();
	t->got = 0;
	curl_easy_setopt(t->easy, CURLOPT_URL, c->url);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, body);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	curl_easy_setopt(t->easy, CURLOPT_CLOSESOCKETDATA, t->of);
	curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, (long)c->fresh);
	curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, (long)c->fresh);
}

static client *make(const char *url, int parallel, int fresh) {
	client *c = calloc(1, sizeof *c);
	curl_global_init(CURL_GLOBAL_ALL);
	strncpy(c->url, url, sizeof c->url - 1);
	c->parallel = parallel;
	c->fresh = fresh;
	c->multi = curl_multi_init();
	c->transfers = calloc(parallel, sizeof *c->transfers);
	c->timeout = -1;
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)parallel);
	for (int i = 0; i < parallel; i++) {
		c->transfers[i].of = c;
		c->transfers[i].easy = curl_easy_init();
		ask(c, &c->transfers[i]);
	}
	return c;
}

static void by_sockets(client *c) {
	c->watched = 1;
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
}

static int begin(client *c, int i) { return curl_multi_add_handle(c->multi, c->transfers[i].easy); }

static int act(client *c, int fd, int what) {
	int running;
	return curl_multi_socket_action(c->multi, fd, what, &running);
}

// finished returns the next transfer that has ended, and takes it out; or -1.
static int finished(client *c) {
	int left;
	for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left));) {
		if (m->msg != CURLMSG_DONE) continue;
		char *private;
		CURL *easy = m->easy_handle;
		CURLcode result = m->data.result;
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
		transfer *t = (transfer *)private;
		t->error = result;
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &t->code);
		curl_multi_remove_handle(c->multi, easy);
		return (int)(t - c->transfers);
	}
	return -1;
}

// poll is libcurl's own loop, once round.
static int poll_once(client *c) {
	int n, running;
	CURLMcode rc = curl_multi_poll(c->multi, NULL, 0, 1000, &n);
	return rc ? rc : curl_multi_perform(c->multi, &running);
}

static void end(client *c) {
	for (int i = 0; i < c->parallel; i++) curl_easy_cleanup(c->transfers[i].easy);
	curl_multi_cleanup(c->multi);
	free(c->transfers);
	free(c->wishes);
	free(c);
}

// A thread for each of the parallel transfers, which does some one after the other.
typedef struct {
	client *of;
	int number, times;
	int64_t *took; // nanoseconds
	int64_t got;
	int failed;
	pthread_t thread;
} worker;

static void *work(void *arg) {
	worker *w = arg;
	transfer *t = &w->of->transfers[w->number];
	for (int i = 0; i < w->times; i++) {
		ask(w->of, t);
		long code = 0;
		CURLcode result = curl_easy_perform(t->easy);
		curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &code);
		if (result || code != 200 || t->wrong) w->failed++;
		w->got += t->got;
		w->took[i] = now() - t->started;
	}
	return NULL;
}

static worker *workers(client *c, int times) {
	worker *all = calloc(c->parallel, sizeof *all);
	for (int i = 0; i < c->parallel; i++) {
		all[i] = (worker){c, i, times, calloc(times, sizeof(int64_t)), 0, 0, 0};
		pthread_attr_t small;
		pthread_attr_init(&small);
		pthread_attr_setstacksize(&small, 256 << 10);
		if (pthread_create(&all[i].thread, &small, work, &all[i])) abort();
	}
	return all;
}
*/
import "C"

import (
	"fmt"
	"time"
	"unsafe"
)

// What libcurl asks for, and what it is told.
const (
	pollIn, pollOut, pollRemove = C.CURL_POLL_IN, C.CURL_POLL_OUT, C.CURL_POLL_REMOVE
	selectIn, selectOut         = C.CURL_CSELECT_IN, C.CURL_CSELECT_OUT
	selectErr                   = C.CURL_CSELECT_ERR
	timedOut                    = C.CURL_SOCKET_TIMEOUT
	closed                      = C.CLOSED // of our own
)

const blockSize = C.BLOCK

// Client has so many transfers under way at a time, to one goroutine.
type Client struct {
	c        *C.client
	parallel int
	toStart  int // transfers that are not begun yet
	size     int64

	Done    int
	Failed  []error
	Bytes   int64
	Took    []time.Duration
	pending int
}

// NewClient makes a client for total transfers of size bytes.
func NewClient(url string, block []byte, parallel, total int, size int64, fresh bool) *Client {
	C.fill(unsafe.Pointer(&block[0]))
	cURL := C.CString(url)
	defer C.free(unsafe.Pointer(cURL))
	yes := C.int(0)
	if fresh {
		yes = 1
	}
	return &Client{c: C.make(cURL, C.int(parallel), yes), parallel: parallel, toStart: total, size: size}
}

// BySockets has libcurl say which sockets to watch. It comes before Begin.
func (c *Client) BySockets() { C.by_sockets(c.c) }

// Begin begins the first transfers.
func (c *Client) Begin() error {
	for i := range min(c.parallel, c.toStart) {
		if rc := C.begin(c.c, C.int(i)); rc != 0 {
			return fmt.Errorf("curl_multi_add_handle: %d", rc)
		}
		c.toStart--
		c.pending++
	}
	return nil
}

// Act tells libcurl what a socket is ready for, or that its time has come.
func (c *Client) Act(fd, what int) error {
	if rc := C.act(c.c, C.int(fd), C.int(what)); rc != 0 {
		return fmt.Errorf("curl_multi_socket_action: %d", rc)
	}
	return nil
}

// Next takes what has ended, and begins as many others.
func (c *Client) Next() error {
	for {
		i := C.finished(c.c)
		if i < 0 {
			return nil
		}
		t := unsafe.Slice(c.c.transfers, c.parallel)[i]
		c.Done++
		c.pending--
		c.Bytes += int64(t.got)
		c.Took = append(c.Took, time.Duration(C.now()-t.started))
		if t.error != 0 || t.code != 200 || t.wrong != 0 || int64(t.got) != c.size {
			c.Failed = append(c.Failed, fmt.Errorf("transfer: error %d, status %d, wrong bytes %v, %d of %d", t.error, t.code, t.wrong != 0, t.got, c.size))
		}
		if c.toStart > 0 {
			C.ask(c.c, &unsafe.Slice(c.c.transfers, c.parallel)[i])
			if rc := C.begin(c.c, i); rc != 0 {
				return fmt.Errorf("curl_multi_add_handle: %d", rc)
			}
			c.toStart--
			c.pending++
		}
	}
}

// Pending is how many transfers are under way.
func (c *Client) Pending() int { return c.pending }

// Wishes calls each for what libcurl has asked for since the last call, in order.
func (c *Client) Wishes(each func(fd, what int) error) error {
	for i := 0; i < int(c.c.nwishes); i++ {
		w := unsafe.Slice(c.c.wishes, c.c.nwishes)[i]
		if err := each(int(w.fd), int(w.what)); err != nil {
			return err
		}
	}
	c.c.nwishes = 0
	return nil
}

// Timeout returns when libcurl wants to be called with timedOut, if that has changed.
func (c *Client) Timeout() (d time.Duration, set, changed bool) {
	if c.c.timeout_set == 0 {
		return 0, false, false
	}
	c.c.timeout_set = 0
	return time.Duration(c.c.timeout) * time.Millisecond, c.c.timeout >= 0, true
}

// OwnLoop does all transfers by curl_multi_poll.
func (c *Client) OwnLoop() error {
	for c.pending > 0 {
		if rc := C.poll_once(c.c); rc != 0 {
			return fmt.Errorf("curl_multi_poll: %d", rc)
		}
		if err := c.Next(); err != nil {
			return err
		}
	}
	return nil
}

// ThreadEach does all transfers in a thread for each parallel one. It calls running
// while they do.
func (c *Client) ThreadEach(running func()) {
	times := c.toStart / c.parallel
	all := unsafe.Slice(C.workers(c.c, C.int(times)), c.parallel)
	running()
	for i := range all {
		C.pthread_join(all[i].thread, nil)
		for _, took := range unsafe.Slice(all[i].took, times) {
			c.Took = append(c.Took, time.Duration(took))
		}
		c.Done += times
		c.Bytes += int64(all[i].got)
		for range all[i].failed {
			c.Failed = append(c.Failed, fmt.Errorf("a thread's transfer failed"))
		}
		C.free(unsafe.Pointer(all[i].took))
	}
	C.free(unsafe.Pointer(&all[0]))
}

// Close frees everything.
func (c *Client) Close() { C.end(c.c) }
