//go:build jack && cgo

package main

// This file holds the client of JACK. From its first block to its last the callback is
// C: it takes no lock, makes no system call of its own and never enters Go.

/*
#cgo pkg-config: jack
#cgo CFLAGS: -I${SRCDIR}/../../notifier -I${SRCDIR}/../../ring
#include <jack/jack.h>
#include <math.h>
#include <stdlib.h>
#include "ring.h"

struct level { // Go: type level in main.go
	uint64_t block, played;
	float first, peak;
};

struct card {
	jack_client_t *client;
	jack_port_t *port;
	notifier_out out;
	notifier_ring ring;
	uint64_t blocks, played;
	uint64_t longest; // microseconds
	int xruns;
};

static int play(jack_nframes_t frames, void *arg) {
	struct card *c = arg;
	uint64_t began = jack_get_time(), took;
	float *block = jack_port_get_buffer(c->port, frames);
	size_t bytes = frames * sizeof *block;
	struct level l = {.block = c->blocks++};
	if (notifier_out_read(c->out, block, bytes) == bytes)
		c->played++;
	else
		memset(block, 0, bytes); // silence
	l.played = c->played;
	l.first = block[0];
	for (jack_nframes_t i = 0; i < frames; i++)
		if (fabsf(block[i]) > l.peak) l.peak = fabsf(block[i]);
	(void)notifier_ring_push(c->ring, &l, sizeof l);
	took = jack_get_time() - began;
	if (took > __atomic_load_n(&c->longest, __ATOMIC_RELAXED)) __atomic_store_n(&c->longest, took, __ATOMIC_RELAXED);
	return 0;
}

static int missed(void *arg) {
	struct card *c = arg;
	__atomic_fetch_add(&c->xruns, 1, __ATOMIC_RELAXED);
	return 0;
}

static void quiet(const char *text) { (void)text; }

static jack_client_t *connect_to(char *server) {
	jack_status_t status;
	jack_set_error_function(quiet);
	jack_set_info_function(quiet);
	return jack_client_open("wakechan", JackNoStartServer | JackServerName, &status, server);
}

static int card_open(struct card *c, jack_client_t *client) {
	c->client = client;
	c->port = jack_port_register(client, "out", JACK_DEFAULT_AUDIO_TYPE, JackPortIsOutput, 0);
	return !c->port || jack_set_process_callback(client, play, c) || jack_set_xrun_callback(client, missed, c);
}

static int card_xruns(struct card *c) { return __atomic_load_n(&c->xruns, __ATOMIC_RELAXED); }
static uint64_t card_longest(struct card *c) { return __atomic_load_n(&c->longest, __ATOMIC_RELAXED); }
*/
import "C"

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
	"unsafe"
)

func init() { open = openJack }

type jack struct {
	c      *C.struct_card
	server *exec.Cmd // ours, if any
}

func openJack(ctx context.Context, name string) (player, error) {
	j := jack{}
	var said bytes.Buffer
	if name == "" {
		name = fmt.Sprint("wakechan-", os.Getpid())
		// No real-time priority, no locked memory: it runs anywhere.
		j.server = exec.Command("jackd", "-n", name, "-r", "-m", "-d", "dummy", "-r", "48000", "-p", "256")
		j.server.Stdout, j.server.Stderr = &said, &said
		if err := j.server.Start(); err != nil {
			return nil, err
		}
	}
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	var client *C.jack_client_t
	for limit := time.Now().Add(10 * time.Second); ; {
		if client = C.connect_to(text); client != nil {
			break
		}
		if j.server == nil || time.Now().After(limit) || ctx.Err() != nil {
			j.end()
			return nil, fmt.Errorf("no JACK server %q answers\n%s", name, &said)
		}
		time.Sleep(100 * time.Millisecond) // it starts
	}
	j.c = (*C.struct_card)(C.calloc(1, C.sizeof_struct_card))
	if C.card_open(j.c, client) != 0 {
		j.close()
		return nil, errors.New("JACK refuses a port or a callback")
	}
	return j, nil
}

func (j jack) frames() int { return int(C.jack_get_buffer_size(j.c.client)) }
func (j jack) rate() int   { return int(C.jack_get_sample_rate(j.c.client)) }

func (j jack) start(o, r uint64) error {
	j.c.out, j.c.ring = C.notifier_out(o), C.notifier_ring(r)
	if C.jack_activate(j.c.client) != 0 {
		return errors.New("JACK does not start the callback")
	}
	return nil
}

func (j jack) counts() (xruns int, longest time.Duration) {
	return int(C.card_xruns(j.c)), time.Duration(C.card_longest(j.c)) * time.Microsecond
}

func (j jack) close() {
	C.jack_client_close(j.c.client) // the callback has ended
	C.free(unsafe.Pointer(j.c))
	j.end()
}

func (j jack) end() {
	if j.server != nil {
		_ = j.server.Process.Signal(os.Interrupt)
		_ = j.server.Wait()
	}
}
