//go:build cgo

// Callback is hello without the header: the library gets the address of a function of
// the Go program, and no C of ours notifies. The library could as well be one that is
// loaded at run time, without cgo: see examples/purego.
package main

/*
#cgo LDFLAGS: -pthread
#include <pthread.h>
#include <stdlib.h>

// The library, which knows nothing of Go.

typedef void (*on_event)(int number, void *user_data);

static int ready; // events that nobody has taken yet

struct job {
	on_event f;
	void *user_data;
};

static void *library(void *p) { // its thread
	struct job job = *(struct job *)p;
	free(p);
	for (int i = 0; i < 3; i++) {
		__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
		job.f(i, job.user_data);
	}
	return NULL;
}

static int start(void *f, void *user_data) {
	pthread_t thread;
	struct job *job = malloc(sizeof *job);
	if (!job) return 1;
	job->f = (on_event)f;
	job->user_data = user_data;
	return pthread_create(&thread, NULL, library, job);
}

static int take(void) { return __atomic_exchange_n(&ready, 0, __ATOMIC_SEQ_CST); }
*/
import "C"

import (
	"fmt"
	"log"
	"time"

	"github.com/wakechan/wakechan/notifier"
)

func main() {
	n := notifier.New()
	h, err := n.Handle()
	if err != nil {
		log.Fatal(err)
	}
	onEvent, err := notifier.Callback(1) // user_data is argument 1
	if err != nil {
		log.Fatal(err)
	}
	C.start(onEvent, h.Pointer())
	for seen := 0; seen < 3; {
		select {
		case <-n.C(): // one event or several
			seen += int(C.take())
			fmt.Println("woken:", seen, "of 3 events so far")
		case <-time.After(10 * time.Second):
			log.Fatal("no wake-up came")
		}
	}
	if err := n.Close(); err != nil {
		log.Fatal(err)
	}
}
