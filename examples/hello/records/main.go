//go:build cgo

// Records is hello with data: a C thread pushes structs, and a goroutine reads them
// as Go structs.
package main

/*
#cgo LDFLAGS: -pthread
#include <pthread.h>
#include "ring.h"

struct sample { uint32_t channel; float level; };

static void on_sample(void *user_data, uint32_t channel, float level) { // on the library's thread
	struct sample s = {channel, level};
	notifier_ring_push((notifier_ring)(uintptr_t)user_data, &s, sizeof s);
}

static void *library(void *user_data) { // the library's thread
	for (uint32_t i = 0; i < 3; i++) on_sample(user_data, i, 0.5f * (float)i);
	return NULL;
}

static int start(void *user_data) {
	pthread_t thread;
	return pthread_create(&thread, NULL, library, user_data);
}
*/
import "C"

import (
	"fmt"
	"log"
	"time"

	"github.com/wakechan/wakechan/ring"
)

type sample struct { // struct sample
	Channel uint32
	Level   float32
}

func main() {
	r, err := ring.New(1 << 16) // bytes
	if err != nil {
		log.Fatal(err)
	}
	h, err := r.Handle() // a number for C
	if err != nil {
		log.Fatal(err)
	}
	C.start(h.Pointer()) // the number as a void *
	for seen := 0; seen < 3; {
		select {
		case <-r.C(): // one record or several
			for s, err := range ring.Values[sample](r) {
				if err != nil {
					log.Fatal(err)
				}
				fmt.Printf("channel %d: level %.1f\n", s.Channel, s.Level)
				seen++
			}
		case <-time.After(10 * time.Second):
			log.Fatal("no record came")
		}
	}
	if err := r.Close(); err != nil {
		log.Fatal(err)
	}
}
