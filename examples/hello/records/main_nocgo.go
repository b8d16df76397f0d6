//go:build !cgo

// Records is hello with data. This is the twin for a build without cgo: a goroutine
// plays the C thread.
package main

import (
	"encoding/binary"
	"fmt"
	"log"
	"math"
	"time"

	"github.com/wakechan/wakechan/ring"
)

type sample struct {
	Channel uint32
	Level   float32
}

func library(r *ring.Ring) {
	for i := range uint32(3) {
		rec := binary.NativeEndian.AppendUint32(nil, i)
		rec = binary.NativeEndian.AppendUint32(rec, math.Float32bits(0.5*float32(i)))
		_ = r.Push(rec)
	}
}

func main() {
	r, err := ring.New(1 << 16) // bytes
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	fmt.Println("built without cgo: a goroutine plays the C thread")
	go library(r)
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
}
