//go:build curl && cgo && unix

package main

// This file holds the calls of libcurl. It calls back in C, which writes down what
// it wishes; Go reads that after each call.

/*
#cgo pkg-config: libcurl
#include <curl/curl.h>
#include <stdlib.h>
#include <unistd.h>

enum { CLOSED = 1 << 8 };

typedef struct { int fd, what; } wish;

typedef struct {
	CURLM *multi;
	CURL **easy;
	int files;
	wish *wishes;
	int count, room;
	long timeout;
	int timeout_set;
	int done, failed;
	long long bytes;
} client;

static int on_socket(CURL *e, curl_socket_t fd, int what, void *arg, void *data) {
	client *c = arg;
	(void)e, (void)data;
	if (c->count == c->room) c->wishes = realloc(c->wishes, (c->room = 2 * c->room + 64) * sizeof(wish));
	c->wishes[c->count++] = (wish){fd, what};
	return 0;
}

static int on_close(void *arg, curl_socket_t fd) {
	on_socket(NULL, fd, CLOSED, arg, NULL);
	return close(fd);
}

static int on_timer(CURLM *m, long timeout, void *arg) {
	client *c = arg;
	(void)m;
	c->timeout = timeout;
	c->timeout_set = 1;
	return 0;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg) {
	(void)p;
	((client *)arg)->bytes += size * n;
	return size * n;
}

static client *begin(const char *url, int files) {
	curl_global_init(CURL_GLOBAL_ALL);
	client *c = calloc(1, sizeof *c);
	c->multi = curl_multi_init();
	c->files = files;
	c->easy = calloc(files, sizeof *c->easy);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	for (int i = 0; i < files; i++) {
		CURL *e = c->easy[i] = curl_easy_init();
		curl_easy_setopt(e, CURLOPT_URL, url);
		curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(e, CURLOPT_FAILONERROR, 1L);
		curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
		curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
		curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, on_close);
		curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, c);
		curl_multi_add_handle(c->multi, e);
	}
	return c;
}

static int act(client *c, int fd, int what) {
	int running, left;
	int rc = curl_multi_socket_action(c->multi, fd, what, &running);
	for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left));)
		if (m->msg == CURLMSG_DONE) {
			c->done++;
			if (m->data.result) c->failed = m->data.result;
		}
	return rc;
}

static void end(client *c) {
	for (int i = 0; i < c->files; i++) {
		curl_multi_remove_handle(c->multi, c->easy[i]);
		curl_easy_cleanup(c->easy[i]);
	}
	curl_multi_cleanup(c->multi);
	free(c->easy);
	free(c->wishes);
	free(c);
}
*/
import "C"

import (
	"fmt"
	"time"
	"unsafe"

	"github.com/wakechan/wakechan/chanadapter"
)

type multi struct{ c *C.client }

func init() {
	open = func(url string, files int) (client, error) {
		cURL := C.CString(url)
		defer C.free(unsafe.Pointer(cURL))
		return multi{C.begin(cURL, C.int(files))}, nil
	}
}

func (m multi) act(fd int, e chanadapter.Events) error {
	what := 0
	if e&(chanadapter.EventRead|chanadapter.EventHangUp) != 0 {
		what |= C.CURL_CSELECT_IN
	}
	if e&chanadapter.EventWrite != 0 {
		what |= C.CURL_CSELECT_OUT
	}
	if e&chanadapter.EventError != 0 {
		what |= C.CURL_CSELECT_ERR
	}
	return m.result(C.act(m.c, C.int(fd), C.int(what)))
}

func (m multi) timeout() error { return m.result(C.act(m.c, C.CURL_SOCKET_TIMEOUT, 0)) }

func (multi) result(rc C.int) error {
	if rc != 0 {
		return fmt.Errorf("libcurl: %s", C.GoString(C.curl_multi_strerror(C.CURLMcode(rc))))
	}
	return nil
}

func (m multi) wishes() []wish {
	all := make([]wish, m.c.count)
	for i, w := range unsafe.Slice(m.c.wishes, m.c.count) {
		all[i] = wish{fd: int(w.fd), closed: w.what == C.CLOSED}
		if w.what == C.CURL_POLL_IN || w.what == C.CURL_POLL_INOUT {
			all[i].events |= chanadapter.EventRead
		}
		if w.what == C.CURL_POLL_OUT || w.what == C.CURL_POLL_INOUT {
			all[i].events |= chanadapter.EventWrite
		}
	}
	m.c.count = 0
	return all
}

func (m multi) timer() (after time.Duration, set, changed bool) {
	if m.c.timeout_set == 0 {
		return 0, false, false
	}
	m.c.timeout_set = 0
	return time.Duration(m.c.timeout) * time.Millisecond, m.c.timeout >= 0, true
}

func (m multi) progress() (done int, bytes int64, err error) {
	if m.c.failed != 0 {
		err = fmt.Errorf("libcurl: %s", C.GoString(C.curl_easy_strerror(C.CURLcode(m.c.failed))))
	}
	return int(m.c.done), int64(m.c.bytes), err
}

func (m multi) close() { C.end(m.c) }
