// Hello wakes a goroutine from a thread that C made.
package main

/*
#cgo LDFLAGS: -pthread
#include <pthread.h>
#include "notifier.h"

static int ready; // events that Go has not seen yet

static void on_event(void *user_data) { // a library calls this on its thread
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	notifier_notify((notifier_handle)(uintptr_t)user_data);
}

static void *library(void *user_data) { // the library's thread
	for (int i = 0; i < 3; i++) on_event(user_data);
	return NULL;
}

static int start(void *user_data) {
	pthread_t thread;
	return pthread_create(&thread, NULL, library, user_data);
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
	h, err := n.Handle() // a number for C
	if err != nil {
		log.Fatal(err)
	}
	C.start(h.Pointer()) // the number as a void *
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
